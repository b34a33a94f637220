"""Fuzzing of whatever reads foreign files: a result, or a sentence that names the place; never another error."""

import copy
import io
import os
import pickle

import joblib
import numpy as np
import pytest
import soundfile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from speech2unit.corpora.adapters.table import read_rows
from speech2unit.corpora.audio import MIN_SAMPLES, BadAudio, read_audio
from storage.untrusted.checkpoints import read_centroids, read_tensors
from tests.workflow.faults.runs import ALL, ROOT
from tests.workflow.test_config import PLAIN, places
from ulm.convert_ulm import dictionary_rows
from workflow.scripts.config_files import check_config

EXAMPLES = 2000 if ALL else 30
fuzz = settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from(("flip", "insert", "drop", "cut")), st.binary(min_size=1, max_size=8)), min_size=1, max_size=6
)  # fmt: skip


@pytest.fixture(autouse=True)
def counted(record_property):
    yield
    record_property("injected", EXAMPLES)
    record_property("detected", EXAMPLES)


def edited(data, edits):
    """Bytes with some of them flipped, inserted, dropped or cut off."""
    data = bytearray(data)
    for part, kind, new in edits:
        at = int(part * len(data))
        if kind == "cut":
            del data[max(at, 1) :]
        else:
            data[at : at + (0 if kind == "insert" else len(new))] = b"" if kind == "drop" else new
    return bytes(data)


def encoded(kind):
    stream = io.BytesIO()
    samples = 0.1 * np.random.default_rng(0).standard_normal(8000)
    soundfile.write(stream, samples, 16_000, format=kind)
    return stream.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3", "AIFF", "CAF"])
def test_audio_is_read_or_refused_with_a_code(tmp_path_factory, kind):
    good, path = encoded(kind), tmp_path_factory.mktemp("audio") / "a"

    @fuzz
    @given(EDITS)
    def check(edits):
        path.write_bytes(edited(good, edits))
        try:
            waveform, _ = read_audio(path, sample_rate=16_000)
        except BadAudio:
            return
        assert waveform.dtype == np.float32 and len(waveform) >= MIN_SAMPLES and np.isfinite(waveform).all()

    check()


def checkpoints():
    content = {"model": {"w": torch.ones(3, 4), "b": torch.zeros(4, dtype=torch.float16)}, "cfg": {"a": [1, "x"]}}
    new, old, bare = io.BytesIO(), io.BytesIO(), io.BytesIO()
    torch.save(content, new)
    torch.save(content, old, _use_new_zipfile_serialization=False)
    joblib.dump(np.ones((3, 4), np.float32), bare)
    return {
        "new.pt": new.getvalue(),
        "old.pt": old.getvalue(),
        "a.safetensors": save(content["model"]),
        "km.bin": bare.getvalue(),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["new.pt", "old.pt", "a.safetensors", "km.bin"])
def test_checkpoints_are_tensors_or_refused(tmp_path_factory, name, monkeypatch):
    good, path = checkpoints()[name], tmp_path_factory.mktemp("checkpoint") / name
    monkeypatch.setattr(os, "system", pytest.fail)

    @fuzz
    @given(EDITS)
    def check(edits):
        path.write_bytes(edited(good, edits))
        try:
            found = read_centroids(path) if name == "km.bin" else read_tensors(path)
        except ValueError as error:
            assert str(error).startswith(f"{path}: only tensors are read from a foreign file, and nothing in it is run; ")
        else:
            assert name == "km.bin" or all(isinstance(tensor, torch.Tensor) for tensor in found.values())

    check()


PICKLED = st.recursive(
    st.none() | st.integers() | st.text() | st.binary() | st.floats() | st.sampled_from([os.system, eval, np.dtype("O"), print]),
    lambda part: st.lists(part) | st.dictionaries(st.text(), part) | st.tuples(part, part), max_leaves=20,
)  # fmt: skip


@pytest.mark.slow
@fuzz
@given(PICKLED, st.integers(0, 5), EDITS)
def test_any_pickle_is_read_or_refused_and_runs_nothing(tmp_path_factory, value, protocol, edits):
    path = tmp_path_factory.getbasetemp() / "any.pt"
    for data in (pickle.dumps(value, protocol), edited(pickle.dumps(value, protocol), edits)):
        path.write_bytes(data)
        try:
            read_tensors(path)
        except ValueError as error:
            assert "nothing in it is run" in str(error)


PATHS = [path for path, _ in places(PLAIN) if path]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda p: st.lists(p) | st.dictionaries(st.text(), p)
)


@pytest.mark.slow
@fuzz
@given(
    st.lists(
        st.tuples(st.sampled_from(PATHS), st.sampled_from(("set", "add", "drop")), st.text(), VALUES), min_size=1, max_size=3
    )
)
def test_any_config_is_right_or_refused_by_its_key(changes):
    config = copy.deepcopy(PLAIN)
    for path, kind, key, value in changes:
        parent = config
        for part in path[:-1]:
            parent = parent.get(part, {}) if isinstance(parent, dict) else {}
        if isinstance(parent, dict):
            if kind == "drop":
                parent.pop(path[-1], None)
            else:
                parent[path[-1] if kind == "set" else key] = value
    try:
        check_config(config, ROOT / "workflow/schemas/config.schema.yaml", [])
    except ValueError as error:
        assert str(error).startswith("config") and "; expected " in str(error)


CELLS = st.text() | st.sampled_from(["a.wav", "../a.wav", "/a.wav", "train", "dev", "test", "", "yes", "0"])
COLUMNS = st.lists(st.sampled_from(["path", "split", "speaker", "label", "digits", "x"]) | st.text(), min_size=1, max_size=6)


@pytest.mark.slow
@fuzz
@given(st.lists(st.lists(CELLS, min_size=1, max_size=6), max_size=6), COLUMNS, EDITS, st.booleans())
def test_any_metadata_is_rows_or_refused_by_name(tmp_path_factory, lines, columns, edits, damaged):
    root = tmp_path_factory.getbasetemp()
    data = "\n".join(",".join(cells) for cells in [columns, *lines]).encode(errors="replace")
    (root / "m.csv").write_bytes(edited(data, edits) if damaged else data)
    how = dict(path_column="path", split_column="split", speaker_column="speaker", label_columns="label,digits[]", where="")
    try:
        found = read_rows(root=str(root), metadata="m.csv", **how)
    except ValueError as error:
        assert str(error).startswith(f"{root}/m.csv") and "; expected " in str(error)
    else:
        assert all(row["split"] in ("train", "dev", "test") and ".." not in row["path"].split("/") for row in found)


@fuzz
@given(st.lists(st.tuples(st.text() | st.integers(-1, 9).map(str), st.text() | st.integers(-1, 2**70).map(str)), max_size=8))
def test_any_dictionary_is_rows_or_refused(lines):
    text = "\n".join(f"{symbol} {count}" for symbol, count in lines)
    try:
        rows = dictionary_rows(text, 4, "lm.tgz")
    except ValueError as error:
        assert str(error).startswith("lm.tgz: ")
    else:
        assert sorted(row["unit"] for row in rows if row["unit"] is not None) == [0, 1, 2, 3]
        assert all(0 <= row["count"] < 2**63 for row in rows)
