"""The stage that converts published encoders. Each architecture has its own tests of how it converts tensors."""

import json
import sys
import types

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from speech2unit import encoders
from speech2unit.encoders.architectures.cpc import CPC, CPCConfig, CPCModel
from speech2unit.encoders.convert_encoder import convert_encoder
from storage import tables
from storage.schemas import LOAD_REPORT

SIZES = dict(conv_dim=8, dim=6, num_layers=2)


def convert(folder, checkpoint, **settings):
    """Convert files in `folder` to an encoder in `folder`/out, and return the rows of the load report."""
    settings = dict(architecture="cpc", sha256=[], sizes=SIZES) | settings
    convert_encoder(
        checkpoint=[folder / name for name in checkpoint],
        model=folder / "out/model.safetensors",
        config=folder / "out/config.json",
        load_report=folder / "out/r.parquet",
        **settings,
    )
    return tables.read(folder / "out/r.parquet", LOAD_REPORT).to_pylist()


def published_cpc_tensors(model):
    """Return the tensors of a model by the names of its authors."""
    tensors = {}
    for name, tensor in model.state_dict().items():
        module, number, parameter = name.split(".", 2)
        published = {
            "convs": f"gEncoder.conv{number}.{parameter}",
            "norms": f"gEncoder.batchNorm{number}.{parameter}",
            "layers": f"gAR.baseNet.{parameter[:-1]}{number}",
        }
        tensors[published[module]] = tensor
    return tensors


def test_a_converted_encoder_computes_the_same_as_the_published_one(tmp_path):
    torch.manual_seed(0)
    model = CPCModel(CPCConfig(**SIZES))
    torch.save({"weights": published_cpc_tensors(model)}, tmp_path / "cpc.pt")
    rows = convert(tmp_path, ["cpc.pt"])
    assert {(row["source"], row["name"]) for row in rows} >= {("gEncoder.conv0.bias", "convs.0.bias")}
    assert all(row["dtype"] == "float32" for row in rows) and len(rows) == len(model.state_dict())
    waveform = np.random.default_rng(0).normal(size=4000).astype(np.float32)
    (features,) = encoders.load(tmp_path / "out").features([waveform], 2)
    assert np.array_equal(features, CPC(model, "cpu").features([waveform], 2)[0])


def test_missing_and_unknown_tensors_are_named(tmp_path):
    tensors = published_cpc_tensors(CPCModel(CPCConfig(**SIZES)))
    tensors["gEncoder.conv9.bias"] = tensors.pop("gEncoder.conv0.bias")
    torch.save({"weights": tensors}, tmp_path / "cpc.pt")
    with pytest.raises(ValueError, match=r"convs\.0\.bias.*gEncoder\.conv9\.bias") as caught:
        convert(tmp_path, ["cpc.pt"])
    assert "correct its sizes" in str(caught.value) and not (tmp_path / "out").exists()


def test_an_encoder_without_learned_weights_needs_no_file(tmp_path):
    assert convert(tmp_path, [], architecture="gslm_log_mel", sizes={}) == []
    assert encoders.load(tmp_path / "out").dim == 80


def test_sizes_of_a_transformers_folder_come_from_its_config(tmp_path, monkeypatch):
    def sizes_from_transformers(config):
        return dict(dim=config["hidden_size"])

    def convert_tensors(tensors, sizes):
        return {"w": tensors["w"]}, [dict(source="w", name="w", shape=[sizes["dim"]], dtype="float32")]

    toy = types.SimpleNamespace(sizes_from_transformers=sizes_from_transformers, convert=convert_tensors)
    monkeypatch.setitem(sys.modules, "speech2unit.encoders.architectures.toy", toy)
    save_file({"w": torch.ones(5)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(dict(hidden_size=5)))
    assert convert(tmp_path, ["model.safetensors", "config.json"], architecture="toy", sizes={})[0]["shape"] == [5]
    assert torch.equal(load_file(tmp_path / "out/model.safetensors")["w"], torch.ones(5))
    assert json.loads((tmp_path / "out/config.json").read_text())["dim"] == 5


def test_missing_sizes_are_refused(tmp_path):
    torch.save({}, tmp_path / "cpc.pt")
    with pytest.raises(
        ValueError, match=r"expected a preset of convert_encoder, got none; name one in column 'preset' of config/encoders.tsv"
    ):
        convert(tmp_path, ["cpc.pt"], sizes={})
