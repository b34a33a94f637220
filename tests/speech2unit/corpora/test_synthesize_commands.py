"""The synthetic corpus: the same bytes every time, no voice in two splits, clips of the right length and level."""

import hashlib
import json
import os
import subprocess
import sys

import pandas
import pytest
import soundfile

from speech2unit.corpora.adapters.table import read_rows
from speech2unit.corpora.synthesize_commands import synthesize_commands

SETTINGS = dict(
    languages=["en-us", "en-gb-scotland"],
    variants=["f1", "m2", "croak", "Alicia", "Gene"],
    commands=["stop", "yes"],
    unknown_words=["house", "six", "seven"],
    num_speakers=dict(train=4, dev=1, test=1),
    clips_per_class=dict(train=2, dev=1, test=1),
    prosody=dict(rate=[130, 210], pitch=[30, 70], pitch_range=[25, 75], jitter=0.06),
    clip=dict(sample_rate=16_000, seconds=1.0, snr_db=[5, 30], peak_db=[-20, -1]),
    seed=1,
)
PROGRAM = "import json, sys; from speech2unit.corpora.synthesize_commands import synthesize_commands as run; run(**json.loads(sys.argv[1]))"


def paths(folder):
    return dict(metadata=str(folder / "metadata.csv"), audio=str(folder / "audio"))


def digest(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(str(path.relative_to(folder)).encode() + path.read_bytes() for path in files)).hexdigest()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    synthesize_commands(**paths(folder), **SETTINGS)
    return folder


@pytest.mark.slow
def test_the_same_bytes_in_fresh_processes_and_again_in_this_one(corpus, tmp_path):
    synthesize_commands(**paths(tmp_path / "again"), **SETTINGS)
    for name in ("one", "two"):
        call = [sys.executable, "-c", PROGRAM, json.dumps(paths(tmp_path / name) | SETTINGS)]
        subprocess.run(
            call, check=True, env=os.environ | dict(PYTHONPATH=os.pathsep.join(sys.path), LC_ALL="C", TZ=f"UTC-{len(name)}")
        )
    assert {digest(folder) for folder in (corpus, *tmp_path.iterdir())} == {digest(corpus)}


def test_another_seed_gives_other_clips(corpus, tmp_path):
    synthesize_commands(**paths(tmp_path), **SETTINGS | dict(seed=2))
    assert digest(tmp_path) != digest(corpus)


def test_the_adapter_table_reads_the_metadata_and_splits_share_neither_speaker_nor_voice(corpus):
    cells = dict(path_column="path", split_column="split", speaker_column="speaker", label_columns="label", where="")
    rows = pandas.DataFrame(read_rows(root=str(corpus), metadata="metadata.csv", **cells))
    assert rows["split"].value_counts().to_dict() == dict(train=32, dev=4, test=4)
    assert {label for (label,) in rows["labels"]} == {"stop", "yes", "unknown", "silence"}
    assert (rows.groupby("speaker")["split"].nunique() == 1).all()
    rows["voice"] = rows["speaker"].str.replace(r"^[a-z]+\d\d", "", regex=True)
    assert (rows.groupby("voice")["split"].nunique() == 1).all()


def test_clips_are_one_second_of_mono_flac_and_all_differ(corpus):
    files = sorted((corpus / "audio").rglob("*.flac"))
    formats = {(info.samplerate, info.channels, info.frames, info.subtype) for info in map(soundfile.info, files)}
    assert formats == {(16_000, 1, 16_000, "PCM_16")}
    assert len({soundfile.read(path)[0].tobytes() for path in files}) == len(files) == 40


@pytest.mark.parametrize(
    "settings, text",
    [
        (dict(variants=["f1", "m2", "croaky"]), 'did you mean "croak"?'),
        (dict(languages=["klingonese"]), "got 'klingonese' with"),
        (dict(variants=["f1", "m2", "f1"]), "every split needs voices of its own"),
        (dict(commands=["stop", "..."]), "every text must be heard; expected speech, got none for '...'"),
    ],
)
def test_errors_leave_nothing_behind(tmp_path, settings, text):
    with pytest.raises(ValueError) as caught:
        synthesize_commands(**paths(tmp_path), **SETTINGS | settings)
    assert text in str(caught.value) and not list(tmp_path.iterdir())
