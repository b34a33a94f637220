"""A path is found under the name that its file has on disk, or the file that it probably means is named."""

import unicodedata

import pytest

from storage.paths import existing_form, similar_file


def write(root, path):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).touch()


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
@pytest.mark.parametrize("written", ["NFC", "NFD"])
def test_the_form_on_disk_is_found(tmp_path, on_disk, written):
    name = unicodedata.normalize(on_disk, "caf\u00e9/th\u00e9.wav")
    write(tmp_path, name)
    path = unicodedata.normalize(written, name)
    assert str(existing_form(path, tmp_path)) == name
    assert existing_form(tmp_path / path) == tmp_path / name
    assert existing_form(f"{path}x", tmp_path) is None and existing_form(tmp_path / "no" / path) is None


def test_blanks_at_the_end_of_a_name_do_not_count(tmp_path):
    write(tmp_path, "yes /a.wav ")
    assert str(existing_form("yes/a.wav", tmp_path)) == "yes /a.wav "


def test_links_that_lead_nowhere_and_odd_names_are_no_reason_to_fail(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    assert str(existing_form("loop", tmp_path)) == "loop"
    for path in ("a\0b", "x" * 999, "loop/a.wav", ""):
        assert existing_form(path, tmp_path) in (None, type(tmp_path)(path))


@pytest.mark.parametrize("path", [
    "Audio/Yes/A.WAV", "audio\\yes\\a.wav", "D:\\mine\\audio\\yes\\a.wav", "/data/mine/audio/yes/a.wav", "file:///mine/audio/yes/a.wav",
    "audio/yes/a.flac", "audio/yes/a", "./audio//yes/a.WAV", "../mine/audio/yes/a.wav",
])  # fmt: skip
def test_the_file_that_a_wrong_path_means(tmp_path, path):
    write(tmp_path, "audio/yes/a.wav")
    assert similar_file(tmp_path, path) == "audio/yes/a.wav"


def test_nothing_is_similar(tmp_path):
    write(tmp_path, "audio/yes/a.wav")
    assert similar_file(tmp_path, "audio/yes/b.wav") is None and similar_file(tmp_path, "") is None
