"""From a corpus to its manifest: which files pass, which are rejected, and which errors stop the run."""

import random
import unicodedata
from collections import Counter

import numpy as np
import pandas
import pytest
import soundfile

from speech2unit.corpora import audio
from speech2unit.corpora.containers import survey
from speech2unit.corpora.levels import CANCELLING, CLIPPED
from speech2unit.corpora.make_manifest import make_manifest
from speech2unit.corpora.read_corpus import normalized
from speech2unit.corpora.schemas import MANIFEST, REJECTED
from storage import tables
from tests.factories import MANIFEST_SETTINGS, corpus_row

RATE = 16_000
RNG = np.random.default_rng(0)
CODES = dict(
    empty=["not_audio"], html=["not_audio"], header=["truncated", "not_audio", "damaged"], flipped=["damaged"],
    nosamples=["no_samples", "not_audio"], short=["too_short"], silent=["silent"], loop=["unreadable"], folder=["unreadable"],
    gone=["missing"],
) | {"new\nline": ["bad_name"]}  # fmt: skip
CUT_CODES = dict(wav=["truncated"], flac=["truncated", "damaged"], ogg=["truncated"], mp3=["truncated", "not_audio"])


def noise(samples=2000, channels=1):
    return (0.1 * RNG.standard_normal((samples, channels))).astype(np.float32)


def good_files(root, count=12):
    """Write `count` files and return their rows; 10 % of the speakers are dev and 10 % test, with labels a and b everywhere."""
    rows = []
    for number in range(count):
        extension = ("wav", "flac", "ogg", "mp3")[number % 4]
        split = {8: "dev", 9: "test"}.get(number // 2 % 10, "train") if count >= 20 else ("train", "dev", "test")[number // 4]
        soundfile.write(root / f"good{number:03d}.{extension}", noise(), RATE, format=extension.upper())
        rows.append(
            dict(path=f"good{number:03d}.{extension}", split=split, speaker=f"{split}{number // 4}", label="ab"[number % 2])
        )
    return rows


def make(root, rows, /, speeds="", **settings):
    """Run the stage; return the manifest and the rejected rows, each as utterance_id → row."""
    pandas.DataFrame(rows).to_csv(root / "metadata.csv", index=False)
    corpus = corpus_row(root, speeds=speeds)
    corpus |= {name: settings.pop(name) for name in list(settings) if name in corpus}
    out = root / "out"
    make_manifest(
        manifest=out / "manifest.parquet",
        rejected=out / "rejected.parquet",
        corpus=corpus,
        **MANIFEST_SETTINGS | dict(num_workers=2) | settings,
    )
    read = (tables.read(out / "manifest.parquet", MANIFEST), tables.read(out / "rejected.parquet", REJECTED))
    return [{row["utterance_id"]: row for row in table.to_pylist()} for table in read]


def error(root, rows, /, **settings):
    with pytest.raises(ValueError) as caught:
        make(root, rows, **settings)
    assert {path.name for path in root.glob("out/*")} <= {"rejected.parquet"}
    return str(caught.value)


def bad_files(root):
    """Write bad files in four formats; return path → possible codes, and the paths of odd files that are converted."""
    codes = {}
    converted = []
    for kind in ("wav", "flac", "ogg", "mp3"):
        (root / kind).mkdir()
        soundfile.write(root / "whole", noise(32_000), RATE, format=kind.upper())
        whole = (root / "whole").read_bytes()
        data = dict(empty=b"", html=b"<html><body>404</body></html>" * 40, header=whole[:44])
        data |= {f"cut{part}": whole[: len(whole) * part // 100] for part in (10, 25, 50, 99)}
        middle = len(whole) // 2
        data |= {"new\nline": whole, "flipped": whole[:middle] + bytes([whole[middle] ^ 16]) + whole[middle + 1 :]}
        for name in data if kind in ("flac", "ogg") else data.keys() - {"flipped"}:
            (root / kind / f"{name}.{kind}").write_bytes(data[name])
            codes[f"{kind}/{name}.{kind}"] = CODES.get(name) or CUT_CODES[kind]
        samples = dict(nosamples=noise(0), short=noise(300), silent=np.zeros(4000))
        for name in samples:
            soundfile.write(root / kind / f"{name}.{kind}", samples[name], RATE, format=kind.upper())
        (root / kind / f"loop.{kind}").symlink_to(f"loop.{kind}")
        (root / kind / f"folder.{kind}").mkdir()
        codes |= {f"{kind}/{name}.{kind}": CODES[name] for name in (*samples, "loop", "folder", "gone")}
        for name, rate, channels in (
            ("stereo", RATE, 2),
            ("rate8", 8_000, 1),
            ("rate44", 44_100, 1),
            ("a 'b' [c] 🎤", 48_000, 1),
        ):
            soundfile.write(root / kind / f"{name}.{kind}", noise(8000, channels), rate, format=kind.upper())
            converted.append(f"{kind}/{name}.{kind}")
    for number, value in enumerate((np.nan, np.inf, -np.inf)):
        soundfile.write(root / f"number{number}.wav", np.append(noise(), np.float32(value)), RATE, subtype="FLOAT")
        codes[f"number{number}.wav"] = ["not_finite"]
    return codes, converted


@pytest.mark.slow
def test_each_bad_file_is_one_row_with_its_code_and_the_good_ones_do_not_notice(tmp_path, record_property):
    good = good_files(tmp_path, 200)
    clean, nothing = make(tmp_path, good, allow_overlap=["speaker"])
    codes, converted = bad_files(tmp_path)
    assert len(codes) >= 60 and not nothing
    rows = [dict(path=path, split="train", speaker="s", label="a") for path in (*codes, *converted)]
    manifest, rejected = make(tmp_path, good + rows, max_reject_fraction=0.5, allow_overlap=["speaker"])
    assert {row["path"] for row in rejected.values()} == set(codes)
    assert all(row["reason"] in codes[row["path"]] for row in rejected.values())
    assert {name: manifest[name] for name in clean} == clean
    assert {row["path"] for row in manifest.values() if row["utterance_id"] not in clean} == set(converted)
    record_property("injected", len(codes) + len(converted))
    record_property("detected", len(codes) + len(converted))
    text = str(pytest.raises(ValueError, make, tmp_path, good + rows, max_reject_fraction=0.01, allow_overlap=["speaker"]).value)
    counts = Counter(row["reason"] for row in rejected.values())
    assert "most of a corpus must be usable; expected at most 1.00% of the files rejected" in text
    assert all(f"\n  {code:12} {count:7}  " in text for code, count in counts.items())


def test_columns_tell_what_the_file_was_and_what_the_encoder_reads(tmp_path):
    rows = good_files(tmp_path)
    soundfile.write(tmp_path / rows[0]["path"], noise(8820, 2), 44_100)
    row = make(tmp_path, rows)[0]["good000"]
    assert (row["num_samples"], row["sample_rate"], row["source_sample_rate"], row["source_channels"]) == (3200, RATE, 44_100, 2)
    assert (row["split"], row["speaker"], row["labels"], row["speed"]) == ("train", "train0", ["a"], 1.0)


def test_speeds_copy_train_only_and_share_the_hash(tmp_path):
    manifest, _ = make(tmp_path, good_files(tmp_path), speeds="0.9, 1.1")
    assert Counter(row["split"] for row in manifest.values()) == dict(train=12, dev=4, test=4)
    slow, original = manifest["sp0.9-good000"], manifest["good000"]
    assert (slow["num_samples"], original["num_samples"]) == (2222, 2000)
    assert slow["audio_hash"] == original["audio_hash"] and slow["speed"] == np.float32(0.9)


def test_a_shuffled_source_and_other_workers_give_the_same_manifest(tmp_path):
    rows = good_files(tmp_path)
    first = list(make(tmp_path, rows)[0].items())
    random.Random(0).shuffle(rows)
    assert list(make(tmp_path, rows, num_workers=1)[0].items()) == first
    assert [name for name, _ in first] == sorted(name for name, _ in first)


def test_duplicate_ids_name_their_rows(tmp_path):
    rows = good_files(tmp_path)
    text = error(tmp_path, [*rows, rows[3] | dict(path="good003.wav")])
    assert "must be unique; expected one row for each, got 1 ids of several rows: 'good003': 'good003.mp3', 'good003.wav'" in text


def test_an_empty_split_and_a_label_that_train_lacks(tmp_path):
    rows = good_files(tmp_path)
    assert (
        "no split may be empty, and test is; expected usable rows in train and test; dev is drawn from train, got train 4, dev 4, test 0"
        in error(tmp_path, rows[:8])
    )
    rows[-1]["label"] = "c"
    assert (
        "train must have every label of dev and test" in (text := error(tmp_path, rows))
        and "'c' of label column 'label' (in good011)" in text
    )


def test_without_dev_it_is_drawn_from_train_by_speaker_and_said(tmp_path, capsys):
    rows = [row for row in good_files(tmp_path, 40) if row["split"] != "dev"]
    manifest, _ = make(tmp_path, rows, speeds="0.9")
    dev = {row["speaker"] for row in manifest.values() if row["split"] == "dev"}
    assert dev and not dev & {row["speaker"] for row in manifest.values() if row["split"] != "dev"}
    assert not [row for row in manifest.values() if row["split"] == "dev" and row["speed"] != 1]
    assert ", drawn from train by speaker\n" in capsys.readouterr().out


@pytest.mark.slow
def test_speakers_and_audio_in_two_splits_are_errors_or_counted(tmp_path, capsys):
    rows = good_files(tmp_path)
    shared = [*rows[:-1], rows[-1] | dict(speaker="train0")]
    text = error(tmp_path, shared)
    assert "a speaker must not be in two splits" in text and "'train0': 'good000 in train', 'good011 in test'" in text
    make(tmp_path, shared, allow_overlap=["speaker"])
    assert ": 1 values of speaker are in several splits, which `allow_overlap` permits" in capsys.readouterr().out
    for path in (tmp_path / "out").iterdir():
        path.unlink()
    soundfile.write(tmp_path / rows[5]["path"], soundfile.read(tmp_path / rows[0]["path"], dtype="int16")[0], RATE)
    assert "write audio into the column `allow_overlap` of the corpus in config/corpora.tsv" in error(tmp_path, rows)
    make(tmp_path, rows, allow_overlap=["audio"])
    assert ": 1 values of audio_hash are in several splits, which `allow_overlap` permits" in capsys.readouterr().out


def test_clipped_files_and_channels_that_cancel_are_named_on_the_terminal(tmp_path, capsys):
    rows = good_files(tmp_path)
    for number in (0, 1, 2, 8):
        soundfile.write(tmp_path / rows[number]["path"], np.clip(20 * noise(), -1, 1), RATE, format="WAV")
    soundfile.write(tmp_path / rows[9]["path"], noise() * [1, -1], RATE, format="WAV")
    make(tmp_path, rows)
    text = capsys.readouterr().out
    assert f"corpus toy: 4 files: {CLIPPED}: 'good000.wav', 'good001.flac', 'good002.ogg', …\n" in text
    assert f"corpus toy: 1 file: {CANCELLING}: 'good009.flac'\n" in text


def test_the_error_says_what_to_type_for_the_first_file_of_each_reason(tmp_path):
    rows = good_files(tmp_path)
    (tmp_path / rows[0]["path"]).write_bytes(b"\0\0\0\x18ftypM4A " + bytes(500))
    soundfile.write(tmp_path / rows[4]["path"], 9000 * noise(), RATE, subtype="FLOAT")
    text = error(tmp_path, rows)
    assert "\n  too_loud           1  good004.wav (the first: its peak is " in text
    assert f"ffmpeg -i {tmp_path}/good004.wav -af volume=1/32768 -c:a pcm_s16le {tmp_path}/good004_repaired.wav" in text


@pytest.mark.parametrize("reason", ["too many", "overlap"])
def test_a_run_that_stops_leaves_the_table_of_rejected_files(tmp_path, capsys, reason):
    rows = good_files(tmp_path)
    (tmp_path / rows[1]["path"]).write_bytes(b"")
    if reason == "overlap":
        rows[-1]["speaker"] = rows[0]["speaker"]
    kept = tmp_path / "logs/rejected.parquet"
    settings = dict(max_reject_fraction=0.5 if reason == "overlap" else 0, rejected_if_stopped=kept)
    text = error(tmp_path, rows, **settings)
    assert [row["path"] for row in tables.read(kept, REJECTED).to_pylist()] == [rows[1]["path"]]
    assert f"1 file rejected before the run stopped: see {kept}\n" in capsys.readouterr().out
    assert (f"({kept} lists all of them with what to type)" in text) == (reason == "too many")
    make(tmp_path, rows, **settings | dict(max_reject_fraction=0.5, allow_overlap=["speaker"]))
    assert not kept.exists()


def test_what_a_manifest_holds_is_said(tmp_path, capsys):
    make(tmp_path, good_files(tmp_path), speeds="0.9")
    assert (
        f"{tmp_path}/out/manifest.parquet: 12 clips, 3 speakers, 2 labels, 1.5 s\n  train  4 clips, 1 speaker, 2 labels, 0.5 s, and 4 speed"
        in capsys.readouterr().out
    )


def test_unknown_speakers_overlap_with_nobody(tmp_path):
    assert make(tmp_path, good_files(tmp_path), speaker_column="")[0]["good000"]["speaker"] is None


@pytest.mark.parametrize(
    "cells, text",
    [
        (dict(adapter="tabel"), "got 'tabel'; did you mean \"table\"?"),
        (dict(speaker_pattern="x"), "adapter 'table' must use every filled cell; expected only ['root', 'metadata'"),
        (dict(speeds="fast"), "`speeds` are factors of the extra copies"),
        (dict(speeds="0.9,0.9"), "different numbers"),
        (dict(speeds="1"), "except 1, comma separated, got '1'"),
        (dict(speeds="nan"), "got 'nan'"),
    ],
)
def test_a_wrong_cell_is_named(tmp_path, cells, text):
    assert text in error(tmp_path, good_files(tmp_path), **cells)


def published(root, adapter, label_columns):
    """Settings of `make` for an adapter that knows its layout."""
    empty = dict.fromkeys(("metadata", "path_column", "split_column", "speaker_column"), "")
    return empty | dict(adapter=adapter, root=str(root), label_columns=label_columns)


def test_seconds_of_a_recording_are_rows_of_their_own_and_decoded_in_one_pass(tmp_path, monkeypatch):
    decoded = []
    monkeypatch.setattr(audio, "survey", lambda file, path: decoded.append(path) or survey(file, path))
    root = tmp_path / "corpus"
    for name in ("v0.01/yes/0a7c2a8d", "v0.01/yes/a69b9b3e", "test_set_v0.01/yes/3ff840aa", "v0.01/_background_noise_/hum"):
        path = root / f"speech_commands_{name}_nohash_0.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, noise(2 * RATE + 5), RATE)
    manifest, _ = make(tmp_path, [dict(a=1)], **published(root, "speech_commands", "word"))
    silence = [row for row in manifest.values() if row["labels"] == ["silence"]]
    assert len(decoded) == len(set(decoded)) == 4
    segments = [(row["split"], row["start_seconds"], row["end_seconds"], row["num_samples"]) for row in silence]
    assert (
        segments == [("train", 0.0, 1.0, RATE), ("dev", 1.0, 2.0, RATE)] and silence[0]["audio_hash"] != silence[1]["audio_hash"]
    )
    assert manifest["speech_commands_v0.01-yes-0a7c2a8d_nohash_0"]["end_seconds"] is None


def test_label_columns_name_every_label_or_a_sequence(tmp_path):
    root = tmp_path / "corpus"
    for name in ("train/a/1_1.wav", "dev/a/2_1.wav", "test/a/3_1.wav"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(root / name, noise(), RATE)
    text = error(tmp_path, [dict(a=1)], **published(root, "folders", "word,colour"))
    assert "`label_columns` names every label; expected 1 names, such as for ['a'], got ['word', 'colour']" in text
    for columns in ("word", "", "word[]"):
        manifest, _ = make(tmp_path, [dict(a=1)], **published(root, "folders", columns))
        assert manifest["train-a-1_1"]["labels"] == ["a"]


def test_paths_are_tried_in_the_other_form_of_their_letters(tmp_path):
    rows = good_files(tmp_path)
    for index, form in enumerate(("NFC", "NFD")):
        name = unicodedata.normalize(form, f"caf\u00e9{index}.wav")
        (tmp_path / rows[index]["path"]).rename(tmp_path / name)
        rows[index]["path"] = unicodedata.normalize("NFD" if form == "NFC" else "NFC", name)
    manifest, _ = make(tmp_path, rows)
    assert all((tmp_path / row["path"]).exists() for row in manifest.values())
    assert {"caf\u00e90", "caf\u00e91"} <= set(manifest)


def test_a_missing_file_names_the_one_that_is_there(tmp_path):
    rows = good_files(tmp_path)
    rows[0]["path"] = "GOOD000.WAV"
    _, rejected = make(tmp_path, rows, max_reject_fraction=0.5)
    assert rejected["GOOD000"]["detail"].endswith("; 'good000.wav' is there")
    for path in (tmp_path / "out").iterdir():
        path.unlink()
    assert "GOOD000.WAV (the first: No such file or directory; 'good000.wav' is there)" in error(tmp_path, rows)


def test_what_is_odd_is_said_before_a_check_stops_the_run(tmp_path, capsys):
    rows = good_files(tmp_path)
    rows[4]["label"] = "A "
    assert "train must have every label" in error(tmp_path, rows)
    assert "corpus toy: the labels 'A', 'a' of label look alike, and count as 2\n" in capsys.readouterr().out


def test_labels_of_a_published_corpus_are_normalized(tmp_path):
    row = dict(utterance_id="a\u00a0", path="a.wav", split="train", speaker=" Zoe\u0308 ", labels=["e\u0301 ", "turn  on"])
    assert normalized(row) == row | dict(utterance_id="a", speaker="Zo\u00eb", labels=["\u00e9", "turn on"])
    with pytest.raises(ValueError, match="a.wav: a label must have a name"):
        normalized(row | dict(labels=[" "]))
