"""Checkpoints in the format of MelHuBERT's authors: read, written, and computed as by their layers."""

import argparse
import random

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from benchmarks.peers.fairseq_melhubert import FairseqMelHuBERT
from speech2unit import encoders
from speech2unit.encoders.convert_encoder import convert_encoder
from speech2unit.encoders.export_melhubert import export_melhubert
from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from speech2unit.encoders.models.melhubert_names import our_name, published_name
from storage import tables
from storage.schemas import LOAD_REPORT
from storage.untrusted.checkpoints import read_array
from storage.weights import save_config, save_tensors

SIZES = dict(num_layers=2, dim=32, ffn_dim=48, num_heads=4, conv_kernel=8, conv_groups=4, num_targets=[7], frame_ms=20)
MOMENTS = np.stack([np.arange(40.0), np.arange(1.0, 41.0)])


@pytest.fixture
def convert(tmp_path):
    """Return a function that writes a state dict as the authors' program does, converts it, and returns the encoder's folder."""

    def write_and_convert(state, sizes):
        random_states = dict(python=random.getstate(), numpy=np.random.get_state(), torch=torch.get_rng_state())
        checkpoint = dict(
            model=state,
            Upstream_Config=dict(melhubert=dict(encoder_layers=2)),
            Optimizer=dict(state={}, param_groups=[dict(lr=1e-4)]),
            Step=7,
            Args=argparse.Namespace(mode="melhubert", seed=1337),
            Runner=dict(n_epochs=2),
            RandomState=random_states,
        )
        torch.save(checkpoint, tmp_path / "melhubert.ckpt")
        np.save(tmp_path / "mean_std.npy", MOMENTS)
        convert_encoder(
            checkpoint=[tmp_path / "melhubert.ckpt", tmp_path / "mean_std.npy"],
            architecture="melhubert",
            sha256=[],
            sizes=sizes | dict(subtract_loudness=False),
            model=tmp_path / "out/model.safetensors",
            config=tmp_path / "out/config.json",
            load_report=tmp_path / "out/report.parquet",
        )
        return tmp_path / "out"

    return write_and_convert


@pytest.mark.parametrize("frame_ms", [10, 20])
def test_a_published_checkpoint_computes_what_the_layers_of_its_authors_do(convert, frame_ms):
    sizes = SIZES | dict(frame_ms=frame_ms)
    published = FairseqMelHuBERT(sizes, 0.0, seed=0).eval()
    folder = convert(published.state_dict(), sizes)
    encoder = encoders.load(folder)
    assert encoder.front_end.mean.tolist() == MOMENTS[0].tolist() and encoder.front_end.std.tolist() == MOMENTS[1].tolist()
    waveform = 0.1 * np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    frames = encoder.front_end(waveform)[None]
    with torch.no_grad():
        last, layers = published(frames)
    torch.testing.assert_close(torch.from_numpy(encoder.features([waveform], 2)[0]), last[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(torch.from_numpy(encoder.features([waveform], 1)[0]), layers[0][0], atol=1e-4, rtol=1e-4)
    report = {row["source"]: row["name"] for row in tables.read(folder / "report.parquet", LOAD_REPORT).to_pylist()}
    assert (
        report["encoder.layers.1.self_attn.k_proj.bias"] == "layers.1.k_proj.bias"
        and len(report) == len(published.state_dict()) + 1
    )


def test_missing_and_unknown_tensors_are_named(convert):
    state = FairseqMelHuBERT(SIZES, 0.0, seed=0).state_dict()
    state["encoder.layers.2.fc1.bias"] = state.pop("final_proj.bias")
    with pytest.raises(
        ValueError, match=r"melhubert checkpoint: .*final_proj\.0\.bias.*encoder\.layers\.2\.fc1\.bias.*correct its sizes"
    ):
        convert(state, SIZES)


def test_published_names_are_the_inverse_of_ours():
    with torch.device("meta"):
        names = MelHuBERTModel(MelHuBERTConfig(**SIZES)).state_dict()
    assert [our_name(published_name(name)) for name in names] == list(names)
    assert our_name("mask_emb") == "mask_emb"


@pytest.fixture
def export(tmp_path):
    """Return a function that saves an encoder, exports it, and returns the exported files."""

    def save_and_export(sizes, subtract_loudness=False):
        model = MelHuBERTModel(MelHuBERTConfig(**sizes))
        mean, std = torch.from_numpy(MOMENTS).float()
        save_tensors(tmp_path / "m.safetensors", model.state_dict() | dict(mean=mean, std=std))
        save_config(tmp_path / "c.json", dict(architecture="melhubert", subtract_loudness=subtract_loudness) | sizes)
        files = dict(checkpoint=tmp_path / "melhubert.ckpt", mean_std=tmp_path / "mean_std.npy")
        export_melhubert(model=tmp_path / "m.safetensors", config=tmp_path / "c.json", **files)
        return files

    return save_and_export


def test_the_same_model_is_exported_as_the_same_bytes(export):
    torch.manual_seed(1)
    first = {name: path.read_bytes() for name, path in export(SIZES).items()}
    torch.manual_seed(1)
    assert {name: path.read_bytes() for name, path in export(SIZES).items()} == first


def test_an_exported_encoder_has_published_names_and_can_be_converted_back(export, tmp_path):
    files = export(SIZES)
    checkpoint = torch.load(files["checkpoint"], weights_only=True)
    assert set(checkpoint["model"]) == set(FairseqMelHuBERT(SIZES, 0.0, seed=0).state_dict())
    sizes = checkpoint["Upstream_Config"]["melhubert"]
    assert (sizes["feat_emb_dim"], sizes["encoder_layers"], sizes["conv_pos"], sizes["num_cluster"]) == (80, 2, 8, 7)
    assert np.array_equal(np.load(files["mean_std"]), MOMENTS)
    convert_encoder(
        checkpoint=list(files.values()),
        architecture="melhubert",
        sha256=[],
        sizes=SIZES | dict(subtract_loudness=False),
        model=tmp_path / "back.safetensors",
        config=tmp_path / "b.json",
        load_report=tmp_path / "b.parquet",
    )
    saved, converted_back = load_file(tmp_path / "m.safetensors"), load_file(tmp_path / "back.safetensors")
    assert saved.keys() == converted_back.keys()
    assert all(torch.equal(tensor, converted_back[name]) for name, tensor in saved.items())


@pytest.mark.parametrize(("sizes", "subtract_loudness"), [(SIZES | dict(num_targets=[7, 5]), False), (SIZES, True)])
def test_an_encoder_that_the_published_format_cannot_express_is_refused(export, tmp_path, sizes, subtract_loudness):
    with pytest.raises(ValueError, match=r"c\.json: the published format has one set of targets .* pre-train with one codebook"):
        export(sizes, subtract_loudness)
    assert not (tmp_path / "melhubert.ckpt").exists()


def test_an_array_of_objects_is_refused(tmp_path):
    np.save(tmp_path / "o.npy", np.array([print], object), allow_pickle=True)
    np.save(tmp_path / "i.npy", np.arange(3))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "i.npy").read_bytes()[:-9])
    for name in ("o.npy", "i.npy", "cut.npy"):
        with pytest.raises(ValueError, match=rf"{name}: only tensors are read from a foreign file"):
            read_array(tmp_path / name)
