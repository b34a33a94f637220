"""Synthetic sentences: the same bytes every time, all intents by every speaker, no voice in two splits, whole sentences."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest
import soundfile
import yaml

from speech2unit.corpora.adapters.table import read_rows
from speech2unit.corpora.synthesize_intents import expand_alternatives, expand_intents, synthesize_intents

PRESETS = Path(__file__).parents[3] / "config/presets/corpora.yaml"
LAMP = dict(action=dict(activate="on", deactivate="off"), object="lamp", location="none")
SETTINGS = dict(
    languages=["en-us", "en-gb-scotland"],
    variants=["f1", "m2", "croak", "Alicia", "Gene"],
    intents=[
        LAMP | dict(wordings=["{object} {action}", "(turn|switch) the {object} {action} at once please"]),
        dict(
            action="bring",
            object=dict(juice="juice", newspaper="(news|)paper"),
            location=dict(kitchen="kitchen"),
            wordings=["{object} from the {location}"],
        ),
    ],
    num_speakers=dict(train=6, dev=1, test=2),
    prosody=dict(rate=[130, 210], pitch=[30, 70], pitch_range=[25, 75], jitter=0.06),
    clip=dict(sample_rate=16_000, margin_seconds=[0.2, 0.3], snr_db=[60, 60], peak_db=[-6, -6]),
    seed=1,
)
PROGRAM = "import json, sys; from speech2unit.corpora.synthesize_intents import synthesize_intents as run; run(**json.loads(sys.argv[1]))"


def paths(folder):
    return dict(metadata=str(folder / "metadata.csv"), audio=str(folder / "audio"))


def digest(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(str(path.relative_to(folder)).encode() + path.read_bytes() for path in files)).hexdigest()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    synthesize_intents(**paths(folder), **SETTINGS)
    return folder


@pytest.fixture(scope="module")
def metadata(corpus):
    return pandas.read_csv(corpus / "metadata.csv")


@pytest.mark.slow
def test_the_same_bytes_in_a_fresh_process_and_again_in_this_one(corpus, tmp_path):
    synthesize_intents(**paths(tmp_path / "again"), **SETTINGS)
    call = [sys.executable, "-c", PROGRAM, json.dumps(paths(tmp_path / "fresh") | SETTINGS)]
    subprocess.run(call, check=True, env=os.environ | dict(PYTHONPATH=os.pathsep.join(sys.path), PYTHONHASHSEED="7", LC_ALL="C"))
    assert [digest(tmp_path / name) for name in ("again", "fresh")] == [digest(corpus)] * 2


def test_another_seed_gives_other_clips(corpus, tmp_path):
    synthesize_intents(**paths(tmp_path), **SETTINGS | dict(seed=2))
    assert digest(tmp_path) != digest(corpus)


def test_every_speaker_says_every_intent_once_in_one_of_its_wordings(metadata):
    sentences_of = expand_intents(SETTINGS["intents"])
    assert len(metadata) == 9 * 4 and metadata["split"].value_counts().to_dict() == dict(train=24, test=8, dev=4)
    said = metadata.groupby("speaker")[["action", "object", "location"]].apply(lambda rows: sorted(map(tuple, rows.to_numpy())))
    assert all(intents == sorted(sentences_of) for intents in said)
    for row in metadata.itertuples():
        assert row.transcription in sentences_of[row.action, row.object, row.location]
    assert metadata.groupby("action")["transcription"].nunique()["activate"] > 1


def test_the_adapter_table_reads_the_slots_and_splits_share_neither_speaker_nor_voice(corpus):
    cells = dict(path_column="path", split_column="split", speaker_column="speaker", where="")
    rows = read_rows(root=str(corpus), metadata="metadata.csv", label_columns="action,object,location", **cells)
    assert {tuple(row["labels"]) for row in rows} == set(expand_intents(SETTINGS["intents"]))
    frame = pandas.DataFrame(rows)
    frame["voice"] = frame["speaker"].str.replace(r"^[a-z]+\d\d", "", regex=True)
    for column in ("speaker", "voice"):
        assert (frame.groupby(column)["split"].nunique() == 1).all()


def test_clips_hold_whole_sentences_between_margins_of_noise(corpus, metadata):
    seconds = {}
    for row in metadata.itertuples():
        waveform, sample_rate = soundfile.read(corpus / row.path)
        assert sample_rate == 16_000 and soundfile.info(corpus / row.path).subtype == "PCM_16"
        edges = np.concatenate([waveform[:3200], waveform[-3200:]])  # the shortest margin
        assert np.abs(edges).max() < 0.01 and np.abs(waveform).max() == pytest.approx(0.5, abs=0.01)
        seconds.setdefault(row.speaker, {})[len(row.transcription.split())] = len(waveform) / sample_rate
    for by_length in seconds.values():
        assert max(by_length) < 6 or by_length[max(by_length)] > by_length[min(by_length)] + 0.4
    assert any(max(by_length) >= 6 for by_length in seconds.values())


def test_alternatives_are_expanded_in_order_and_may_be_nested_and_empty():
    assert expand_alternatives("(turn|switch) on the (|red) lamp") == [
        "turn on the lamp", "turn on the red lamp", "switch on the lamp", "switch on the red lamp",
    ]  # fmt: skip
    assert expand_alternatives("(a (b|c)|d) e") == ["a b e", "d e", "a c e"]


def test_values_are_said_in_their_words_and_empty_slots_are_named():
    sentences_of = expand_intents(SETTINGS["intents"] + [LAMP | dict(wordings=["(light|lamp) {action}"])])
    assert list(sentences_of) == [
        ("activate", "lamp", "no location"), ("deactivate", "lamp", "no location"),
        ("bring", "juice", "kitchen"), ("bring", "newspaper", "kitchen"),
    ]  # fmt: skip
    assert sentences_of["deactivate", "lamp", "no location"] == [
        "lamp off", "turn the lamp off at once please", "switch the lamp off at once please", "light off",
    ]  # fmt: skip
    assert sentences_of["bring", "newspaper", "kitchen"] == ["newspaper from the kitchen", "paper from the kitchen"]


def test_an_empty_slot_can_have_words():
    entry = LAMP | dict(location=dict(none="here", kitchen="there"), wordings=["lamp {action} {location}"])
    assert expand_intents([entry])["activate", "lamp", "no location"] == ["lamp on here"]


def test_the_preset_has_31_intents_with_many_wordings_and_words_in_common():
    sentences_of = expand_intents(yaml.safe_load(PRESETS.read_text())["synthesize_intents"]["intents"])
    assert len(sentences_of) == 31 and min(map(len, sentences_of.values())) >= 8
    assert {len(sentence.split()) for sentences in sentences_of.values() for sentence in sentences} <= set(range(2, 9))
    intents_with = {}
    for intent, sentences in sentences_of.items():
        for word in set(" ".join(sentences).split()):
            intents_with.setdefault(word, set()).add(intent)
    with_a_word_of_their_own = set().union(*(intents for intents in intents_with.values() if len(intents) == 1))
    assert len(with_a_word_of_their_own) <= 15 and {location for *_, location in with_a_word_of_their_own} == {"no location"}


@pytest.mark.parametrize(
    "settings, text",
    [
        (dict(intents=[LAMP | dict(wordings=["(...|lamp {action}|!)"])]), "a wording is a sentence; expected words, and pairs"),
        (dict(intents=[LAMP | dict(wordings=["(turn|switch {action} the lamp"])]), "got '(turn|switch on the lamp' from"),
        (dict(intents=[LAMP | dict(wordings=["turn {acton} the lamp"])]), "got '{acton}' in 'turn {acton} the lamp'; did you mean"),
        (dict(intents=[LAMP | dict(wordings=["lamp {action} in the {location}"])]), "['action', 'object'], got '{location}'"),
        (dict(intents=[LAMP | dict(wordings=["the lamp"])]), "a sentence has one intent; expected 'the lamp' for ('activate',"),
        (dict(variants=["f1", "m2", "croaky"]), "synthesize_intents: espeak-ng must have the dialect and the voice"),
    ],
)  # fmt: skip
def test_errors_leave_nothing_behind(tmp_path, settings, text):
    with pytest.raises(ValueError) as caught:
        synthesize_intents(**paths(tmp_path), **SETTINGS | settings)
    assert text in str(caught.value) and not list(tmp_path.iterdir())
