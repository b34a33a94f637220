"""The adapters of published corpora, each on a tiny tree in the published layout (layouts.yaml): rows, missing parts, odd names."""

import importlib
import pkgutil
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from speech2unit.corpora import adapters
from speech2unit.corpora.adapters.speech_commands import published_split
from speech2unit.corpora.splits import check_splits, split_by_hash

SECOND = 100  # samples per second in these trees
CASES = yaml.safe_load((Path(__file__).parent / "layouts.yaml").read_text("utf-8"))


def write(root, files):
    """Write a tree of `files`, path → text or `{seconds: duration of noise}`, and return its root."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict):
            noise = np.random.default_rng(len(name)).normal(0, 0.1, round(content["seconds"] * SECOND))
            soundfile.write(path, noise, SECOND, format="WAV")
        else:
            path.write_text(content, "utf-8")
    return str(root)


def read(adapter, root, label_columns=None):
    """Return the rows of an adapter, after checking what `make_manifest` needs of them."""
    rows = importlib.import_module(f"speech2unit.corpora.adapters.{adapter}").read_rows(
        root=root, label_columns=label_columns or CASES[adapter]["label_columns"]
    )
    assert len({row["utterance_id"] for row in rows}) == len(rows)
    assert all(row["split"] in ("train", "dev", "test") for row in rows)
    return rows


def by_split(rows):
    rows_of_split = {}
    for row in rows:
        rows_of_split.setdefault(row["split"], set()).add((row["path"], row["speaker"], *row["labels"]))
    return rows_of_split


def refusal(adapter, root, label_columns=None):
    with pytest.raises(ValueError) as caught:
        read(adapter, root, label_columns)
    return str(caught.value)


def test_every_adapter_of_a_published_corpus_has_its_tree():
    names = {module.name for module in pkgutil.iter_modules(adapters.__path__)} - {"table", "folders"}
    assert set(CASES) == names


@pytest.mark.parametrize("adapter", [name for name, case in CASES.items() if "rows" in case])
def test_rows_of_the_published_layout(tmp_path, adapter):
    expected = {split: {tuple(row) for row in rows} for split, rows in CASES[adapter]["rows"].items()}
    assert by_split(read(adapter, write(tmp_path, CASES[adapter]["files"]))) == expected


@pytest.mark.parametrize("adapter", CASES)
def test_a_missing_corpus_says_where_it_is_published(tmp_path, adapter):
    source = importlib.import_module(f"speech2unit.corpora.adapters.{adapter}").SOURCE
    text = refusal(adapter, str(tmp_path / "nowhere"))
    assert text.startswith(str(tmp_path / "nowhere")) and "must have its published layout; expected '" in text
    assert source in text or "get it from https://" in text
    (tmp_path / "empty").mkdir()
    assert "expected '" in (text := refusal(adapter, str(tmp_path / "empty"))) and "get it from http" in text


@pytest.mark.parametrize("adapter", [name for name, case in CASES.items() if "essential" in case])
def test_a_missing_part_is_named(tmp_path, adapter):
    root = write(tmp_path, CASES[adapter]["files"])
    part = tmp_path / CASES[adapter]["essential"]
    shutil.rmtree(part) if part.is_dir() else part.unlink()
    text = refusal(adapter, root)
    assert str(tmp_path) in text and "http" in text and "; expected " in text and ", got " in text


@pytest.mark.parametrize("adapter", CASES)
def test_an_odd_name_is_named(tmp_path, adapter):
    case = CASES[adapter]
    assert case["says"] in refusal(adapter, write(tmp_path, case["files"] | case["odd"]))


@pytest.mark.parametrize("adapter", [name for name in CASES if name != "voxceleb1"])
def test_an_unknown_label_column_names_the_nearest(tmp_path, adapter):
    column = CASES[adapter]["label_columns"].split(",")[0]
    assert f'did you mean "{column}"? ' in refusal(adapter, write(tmp_path, CASES[adapter]["files"]), column[:-1])


def test_labels_come_in_the_order_of_label_columns(tmp_path):
    root = write(tmp_path, CASES["fluent_speech_commands"]["files"])
    assert read("fluent_speech_commands", root, "location, action")[0]["labels"] == ["no location", "change language"]


def test_the_published_split_is_that_of_the_published_lists():
    archive = ("3ff840aa", "95ba4996", "d7467392", "412c675c", "0c40e715", "9d171fee", "7192fddc")  # speakers of the test archive
    lithuanian = ("02", "12", "13", "17", "28"), ("01", "03", "05", "06", "08", "09", "10", "16", "18", "19", "21", "27", "30")
    assert {published_split(name) for name in (*archive, *lithuanian[0])} == {"test"}
    assert {published_split(name) for name in lithuanian[1]} == {"train"}


def test_the_published_split_holds_out_two_tenths():
    splits = [published_split(f"{number:08x}") for number in range(5000)]
    assert [splits.count(split) / 5000 for split in ("train", "dev", "test")] == pytest.approx([0.8, 0.1, 0.1], abs=0.02)


def test_silence_is_every_second_of_the_noise_once(tmp_path):
    rows = read("speech_commands", write(tmp_path, CASES["speech_commands"]["files"]))
    silence = [row for row in rows if row["path"].endswith("hum.wav")]
    assert [(row["start_seconds"], row["end_seconds"], row["split"]) for row in silence] == [(0, 1, "train"), (1, 2, "dev")]
    assert silence[1]["utterance_id"] == "speech_commands_v0.01-_background_noise_-hum-0001000ms"
    assert all((row["start_seconds"], row["end_seconds"]) == (0, None) for row in rows if row not in silence)


def test_noise_that_is_no_audio_is_named(tmp_path):
    files = CASES["speech_commands"]["files"] | {"speech_commands_v0.01/_background_noise_/hum.wav": "text"}
    assert "hum.wav: a recording that is cut into segments must be readable" in refusal("speech_commands", write(tmp_path, files))


def test_two_versions_below_one_root(tmp_path):
    files = CASES["speech_commands"]["files"] | {"speech_commands_v0.02/yes/0a7c2a8d_nohash_0.wav": ""}
    text = refusal("speech_commands", write(tmp_path, files))
    assert "got ['speech_commands_v0.01', 'speech_commands_v0.02']; give each release a folder" in text


def test_voxforge_keeps_speakers_and_anonymous_submissions_apart(tmp_path):
    rows = read("voxforge", write(tmp_path, CASES["voxforge"]["files"]))
    assert sorted(row["labels"][0] for row in rows) == ["de", "en", "es", "fr", "it", "ru"]
    assert {row["speaker"] for row in rows} >= {"de-anna", "en-anonymous-2010-x"}
    assert all(row["split"] == split_by_hash(row["speaker"]) for row in rows)


def test_voxceleb_gender_is_split_by_speaker(tmp_path):
    rows = read("voxceleb1", write(tmp_path, CASES["voxceleb1"]["files"]), "gender")
    assert Counter((row["speaker"], row["split"], *row["labels"]) for row in rows) == {
        ("id10001", "train", "male"): 3, ("id10270", "test", "female"): 1,
    }  # fmt: skip
    text = refusal("voxceleb1", str(tmp_path), "speaker,gender")
    assert "got 'speaker,gender'; make one row of config/corpora.tsv for each" in text


def test_videos_must_have_been_converted_to_audio(tmp_path):
    files = CASES["mustard"]["files"].copy()
    files.pop("utterances_final/1_60.wav")
    assert "got 1_60.mp4; run for f in *.mp4; do ffmpeg" in refusal("mustard", write(tmp_path, files))


def test_slots_open_and_close_around_their_words():
    symbols = importlib.import_module("speech2unit.corpora.adapters.audio_snips").symbols_of
    slot_symbols = symbols(["Æ", "b", "Ç", '"d"', "E"], ["B-x", "I-x", "B-x", "O", "B-y"], "here")
    assert " ".join(slot_symbols) == "<x> A | B </> | <x> C </> | D | <y> E </>"


@pytest.mark.parametrize("adapter", ["librispeech", "audio_snips"])
def test_symbols_of_a_sequence_may_be_at_any_position(tmp_path, adapter):
    rows = read(adapter, write(tmp_path, CASES[adapter]["files"]))
    rows += [rows[-1] | dict(split="test", labels=rows[0]["labels"][::-1] * 2)]
    check_splits(rows, "here", CASES[adapter]["label_columns"])
    with pytest.raises(ValueError, match="train must have every label"):
        check_splits(rows, "here", "characters")


LEXICONS = {"librispeech-lexicon-1.txt": "GO G OW1\nGO G AA0\nAN AE1 N\n", "librispeech-lexicon-2.txt": "ON AA1 N\nGO K\n"}


def test_phonemes_are_the_first_of_the_lexicons_next_to_the_corpus(tmp_path):
    root = write(tmp_path, CASES["librispeech"]["files"] | LEXICONS)
    assert [row["labels"] for row in read("librispeech", root, "phonemes[]")] == [["G", "OW1", "AA1", "N"]] * 3


def test_a_missing_lexicon_or_word_says_where_to_get_it(tmp_path):
    root = write(tmp_path, CASES["librispeech"]["files"])
    text = refusal("librispeech", root, "phonemes[]")
    assert "expected 'librispeech-lexicon*.txt'" in text and "downstream/ctc/lexicon" in text
    write(tmp_path, {"librispeech-lexicon.txt": LEXICONS["librispeech-lexicon-1.txt"]})
    text = refusal("librispeech", root, "phonemes[]")
    assert (
        "84-121-0000: the lexicon has every word; expected phonemes of each word, got none of ['ON']" in text and "http" in text
    )


def test_mixtures_of_another_folder_are_refused(tmp_path):
    files = CASES["librimix"]["files"] | {"data/dev/wav.scp": "c-d wav8k/min/dev/c-d.wav\n"}
    assert "expected a path with /wav16k/, got 'wav8k/min/dev/c-d.wav'" in refusal("librimix", write(tmp_path, files))
