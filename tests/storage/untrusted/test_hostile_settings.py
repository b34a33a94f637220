"""Foreign settings and tables that contain code: the code does not run."""

import os
import pickle
from pathlib import Path

import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from speech2unit.corpora.adapters.table import read_rows
from storage.untrusted.checkpoints import read_tensors
from workflow.scripts.config_files import check_config

ROOT = Path(__file__).parents[3]
TOUCH = "touch canary"


class Call:
    """An object whose pickle is a call of a function."""

    def __reduce__(self):
        return os.system, (TOUCH,)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, in which no file `canary` may appear."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert not (tmp_path / "canary").exists()


def test_an_expression_in_a_checkpoints_settings_is_never_evaluated(folder):
    expression = f"__import__('os').system('{TOUCH}')"
    model = {"model": {"w": torch.ones(2)}, "cfg": {"model": {"conv_feature_layers": expression}}}
    torch.save(model, folder / "x.pt")
    assert read_tensors(folder / "x.pt").keys() == {"model.w"}


def test_a_yaml_tag_does_not_run(folder):
    (folder / "config.yaml").write_text(f"a: !!python/object/apply:os.system ['{TOUCH}']\n")
    with pytest.raises(ValueError, match="python/object/apply:os.system"):
        check_config({}, ROOT / "workflow/schemas/config.schema.yaml", [folder / "config.yaml"])


@pytest.mark.parametrize("name", ["arrow.py_extension_type", "made.up"])
def test_a_parquet_extension_type_does_not_run(folder, name):
    """pyarrow before 14.0.1 unpickled the first of these (CVE-2023-47248)."""
    extension = {"ARROW:extension:name": name, "ARROW:extension:metadata": pickle.dumps(Call(), 0)}
    columns = [
        pa.field("path", pa.string(), metadata=extension),
        *(pa.field(c, pa.string()) for c in ("split", "speaker", "label")),
    ]
    pq.write_table(pa.table([["a.wav"], ["train"], ["s"], ["a"]], pa.schema(columns)), folder / "m.parquet")
    cells = dict(path_column="path", split_column="split", speaker_column="speaker", label_columns="label", where="")
    (row,) = read_rows(root=str(folder), metadata="m.parquet", **cells)
    assert row["path"] == "a.wav" and len(pandas.read_parquet(folder / "m.parquet")) == 1
