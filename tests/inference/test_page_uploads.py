import numpy as np
import pytest
import soundfile

from inference.page_uploads import MAX_MEGABYTES, SENTENCES, check_upload, sentence
from speech2unit.corpora.audio import RULES, BadAudio


def test_every_reason_has_a_sentence():
    assert set(RULES) - {"not_units"} == set(SENTENCES)


@pytest.mark.parametrize("reason", SENTENCES)
def test_a_sentence_says_what_is_wrong_and_what_to_do(reason):
    text = sentence(BadAudio("a.wav", reason, "12 samples"))
    problem, remedy = SENTENCES[reason]
    assert text == f"{problem} {remedy} (12 samples)"
    assert problem.endswith(".") and remedy.endswith(".")


def test_an_unknown_reason_has_a_sentence_too():
    assert "cannot be used" in sentence(BadAudio("a.wav", "not_units", "text"))


def test_a_large_file_is_refused_before_it_is_read(tmp_path):
    with open(tmp_path / "a.wav", "wb") as file:
        file.truncate((MAX_MEGABYTES + 1) * 1_000_000)
    with pytest.raises(BadAudio, match="65 MB, at most 64"):
        check_upload(tmp_path / "a.wav")


def test_a_long_file_is_refused_before_it_is_decoded(tmp_path):
    soundfile.write(tmp_path / "a.flac", np.zeros(61 * 8000), 8000)
    with pytest.raises(BadAudio, match="61 s, at most 60"):
        check_upload(tmp_path / "a.flac")
    check_upload(tmp_path / "a.flac", max_seconds=62)


def test_what_is_no_audio_is_left_to_the_decoder(tmp_path):
    (tmp_path / "a.wav").write_text("hello")
    check_upload(tmp_path / "a.wav")


def test_a_deleted_file_is_missing(tmp_path):
    with pytest.raises(BadAudio, match="missing"):
        check_upload(tmp_path / "a.wav")
