"""Published encoders become ours; what the architectures make of the tensors stands in their own tests."""

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
    paths = {
        name: folder / "out" / file
        for name, file in (("model", "model.safetensors"), ("config", "config.json"), ("load_report", "r.parquet"))
    }
    how = dict(architecture="cpc", sha256=[], sizes=SIZES)
    convert_encoder(checkpoint=[folder / name for name in checkpoint], **paths, **(how | settings))
    return tables.read(paths["load_report"], LOAD_REPORT).to_pylist()


def cpc_tensors(model):
    """The model's tensors under the names of its authors."""
    names = {"convs": "gEncoder.conv{}.{}", "norms": "gEncoder.batchNorm{}.{}", "layers": "gAR.baseNet.{1}{0}"}
    parts = ((name.split(".", 2), tensor) for name, tensor in model.state_dict().items())
    return {names[part].format(i, rest[:-1] if part == "layers" else rest): tensor for (part, i, rest), tensor in parts}


def test_the_encoder_computes_what_the_published_one_does(tmp_path):
    torch.manual_seed(0)
    model = CPCModel(CPCConfig(**SIZES))
    torch.save({"weights": cpc_tensors(model)}, tmp_path / "cpc.pt")
    rows = convert(tmp_path, ["cpc.pt"])
    assert {(row["source"], row["name"]) for row in rows} >= {("gEncoder.conv0.bias", "convs.0.bias")}
    assert all(row["dtype"] == "float32" for row in rows) and len(rows) == len(model.state_dict())
    found, waveform = encoders.load(tmp_path / "out"), np.random.default_rng(0).normal(size=4000).astype(np.float32)
    assert np.array_equal(found.features([waveform], 2)[0], CPC(model, "cpu").features([waveform], 2)[0])


def test_missing_and_unknown_tensors_are_named(tmp_path):
    tensors = cpc_tensors(CPCModel(CPCConfig(**SIZES)))
    tensors["gEncoder.conv9.bias"] = tensors.pop("gEncoder.conv0.bias")
    torch.save({"weights": tensors}, tmp_path / "cpc.pt")
    with pytest.raises(ValueError, match=r"convs\.0\.bias.*gEncoder\.conv9\.bias") as caught:
        convert(tmp_path, ["cpc.pt"])
    assert "correct its sizes" in str(caught.value) and not (tmp_path / "out").exists()


def test_an_encoder_that_learned_nothing_needs_no_file(tmp_path):
    assert convert(tmp_path, [], architecture="gslm_log_mel", sizes={}) == []
    assert encoders.load(tmp_path / "out").dim == 80


def test_sizes_of_a_transformers_folder_come_from_its_config(tmp_path, monkeypatch):
    def sizes_from_transformers(config):
        return dict(dim=config["hidden_size"])

    def taken(tensors, sizes):
        return {"w": tensors["w"]}, [dict(source="w", name="w", shape=[sizes["dim"]], dtype="float32")]

    toy = types.SimpleNamespace(sizes_from_transformers=sizes_from_transformers, convert=taken)
    monkeypatch.setitem(sys.modules, "speech2unit.encoders.architectures.toy", toy)
    save_file({"w": torch.ones(5)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(dict(hidden_size=5)))
    assert convert(tmp_path, ["model.safetensors", "config.json"], architecture="toy", sizes={})[0]["shape"] == [5]
    assert torch.equal(load_file(tmp_path / "out/model.safetensors")["w"], torch.ones(5))
    assert json.loads((tmp_path / "out/config.json").read_text())["dim"] == 5


def test_without_sizes_the_error_says_where_they_belong(tmp_path):
    torch.save({}, tmp_path / "cpc.pt")
    with pytest.raises(
        ValueError, match=r"expected a preset of convert_encoder, got none; name one in column 'preset' of config/encoders.tsv"
    ):
        convert(tmp_path, ["cpc.pt"], sizes={})
