"""Checkpoints in the format of MelHuBERT's authors, whole and pruned: read, written, and computed as by their layers."""

import argparse
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from benchmarks.peers.fairseq_melhubert import FairseqMelHuBERT
from speech2unit import encoders
from speech2unit.encoders.convert_encoder import convert_encoder
from speech2unit.encoders.export_melhubert import export_melhubert
from speech2unit.encoders.models.compressed_layers import factorize, keep_heads, keep_rows, layer_sizes
from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from speech2unit.encoders.models.melhubert_names import our_name, published_name
from storage import tables
from storage.files import read_json
from storage.schemas import LOAD_REPORT
from storage.untrusted.checkpoints import read_array
from storage.weights import load_tensors, save_config, save_tensors

SIZES = dict(num_layers=2, dim=32, ffn_dim=48, num_heads=4, conv_kernel=8, conv_groups=4, num_targets=[7], frame_ms=20)
MOMENTS = np.stack([np.arange(40.0), np.arange(1.0, 41.0)])


@pytest.fixture
def convert(tmp_path):
    """Return a function that writes a state dict as the authors' program does, converts it, and returns the encoder's folder."""

    def write_and_convert(state, sizes, **entries):
        random_states = dict(python=random.getstate(), numpy=np.random.get_state(), torch=torch.get_rng_state())
        checkpoint = dict(
            model=state,
            Upstream_Config=dict(melhubert=dict(encoder_layers=2)),
            Optimizer=dict(state={}, param_groups=[dict(lr=1e-4)]),
            Step=7,
            Args=argparse.Namespace(mode="melhubert", seed=1337),
            Runner=dict(n_epochs=2),
            RandomState=random_states,
            **entries,
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

    def save_and_export(sizes, subtract_loudness=False, shrink=None):
        model = MelHuBERTModel(MelHuBERTConfig(**sizes))
        sparse_tensors = (shrink(model) if shrink else None) or ()
        mean, std = torch.from_numpy(MOMENTS).float()
        save_tensors(tmp_path / "m.safetensors", model.state_dict() | dict(mean=mean, std=std), sparse_tensors)
        settings = dict(architecture="melhubert", subtract_loudness=subtract_loudness) | sizes
        save_config(tmp_path / "c.json", settings | (dict(layers=layer_sizes(model)) if shrink else {}))
        files = dict(checkpoint=tmp_path / "melhubert.ckpt", mean_std=tmp_path / "mean_std.npy")
        export_melhubert(model=tmp_path / "m.safetensors", config=tmp_path / "c.json", **files)
        return files

    return save_and_export


@pytest.fixture
def convert_back(tmp_path):
    """Return a function that converts exported files to an encoder, and returns its folder."""

    def convert_files(files):
        folder = tmp_path / "back"
        convert_encoder(
            checkpoint=list(files.values()),
            architecture="melhubert",
            sha256=[],
            sizes=SIZES | dict(subtract_loudness=False),
            model=folder / "model.safetensors",
            config=folder / "config.json",
            load_report=folder / "report.parquet",
        )
        return folder

    return convert_files


def test_the_same_model_is_exported_as_the_same_bytes(export):
    torch.manual_seed(1)
    first = {name: path.read_bytes() for name, path in export(SIZES).items()}
    torch.manual_seed(1)
    assert {name: path.read_bytes() for name, path in export(SIZES).items()} == first


def test_an_exported_encoder_has_published_names_and_can_be_converted_back(export, convert_back, tmp_path):
    files = export(SIZES)
    checkpoint = torch.load(files["checkpoint"], weights_only=True)
    assert set(checkpoint["model"]) == set(FairseqMelHuBERT(SIZES, 0.0, seed=0).state_dict())
    sizes = checkpoint["Upstream_Config"]["melhubert"]
    assert (sizes["feat_emb_dim"], sizes["encoder_layers"], sizes["conv_pos"], sizes["num_cluster"]) == (80, 2, 8, 7)
    assert np.array_equal(np.load(files["mean_std"]), MOMENTS)
    assert_equal_tensors(tmp_path / "m.safetensors", convert_back(files) / "model.safetensors")
    assert "layers" not in read_json(tmp_path / "back/config.json")


def assert_equal_tensors(path, other_path):
    """Check that two files have the same tensors."""
    tensors = load_tensors(path)
    other_tensors = load_tensors(other_path)
    assert tensors.keys() == other_tensors.keys()
    assert all(torch.equal(tensor, other_tensors[name]) for name, tensor in tensors.items())


@pytest.mark.parametrize(("sizes", "subtract_loudness"), [(SIZES | dict(num_targets=[7, 5]), False), (SIZES, True)])
def test_an_encoder_that_the_published_format_cannot_express_is_refused(export, tmp_path, sizes, subtract_loudness):
    with pytest.raises(ValueError, match=r"c\.json: the published format has one set of targets .* pre-train with one codebook"):
        export(sizes, subtract_loudness)
    assert not (tmp_path / "melhubert.ckpt").exists()


def remove_heads(model):
    """Remove heads 1 and 3 of the first block, and head 0 of the second one."""
    keep_heads(model.blocks[0], [0, 2, 3])
    keep_heads(model.blocks[0], [0, 1])
    keep_heads(model.blocks[1], [1, 2, 3])


def remove_rows(model):
    """Leave 40 feed-forward rows in each block."""
    for block in model.blocks:
        keep_rows(block, list(range(8, 48)))


def remove_weights(model):
    """Set most of a matrix to 0, and return its name, so that it is stored sparse."""
    with torch.no_grad():
        model.blocks[1].fc1.weight[:, 3:] = 0
    return ["layers.1.fc1.weight"]


def remove_everything(model):
    """Remove heads, rows and weights."""
    remove_heads(model)
    remove_rows(model)
    return remove_weights(model)


@pytest.mark.parametrize("shrink", [remove_heads, remove_rows, remove_weights, remove_everything])
def test_a_pruned_encoder_is_exported_and_converted_back(export, convert_back, tmp_path, shrink):
    files = export(SIZES, shrink=shrink)
    folder = convert_back(files)
    assert_equal_tensors(tmp_path / "m.safetensors", folder / "model.safetensors")
    layers = read_json(tmp_path / "c.json")["layers"]
    assert read_json(folder / "config.json").get("layers", layers) == layers
    waveform = 0.1 * np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    frames = encoders.load(folder).front_end(waveform)[None]
    checkpoint = torch.load(files["checkpoint"], weights_only=True)
    with torch.no_grad():
        last, _ = authors_model(checkpoint)(frames)
    torch.testing.assert_close(torch.from_numpy(encoders.load(folder).features([waveform], 2)[0]), last[0], atol=1e-4, rtol=1e-4)


def authors_model(checkpoint):
    """Return the model of a checkpoint, loaded as by the authors' s3prl upstream."""
    published = checkpoint["Upstream_Config"]["melhubert"]
    model = FairseqMelHuBERT(SIZES | dict(ffn_dim=published["encoder_ffn_embed_dim"]), 0.0, seed=0).eval()
    for step in checkpoint.get("Pruned_heads", []):
        for number, removed in step.items():
            attention = model.encoder.layers[number].self_attn
            attention.num_heads -= len(removed)
            dim = attention.embed_dim
            attention.embed_dim = attention.num_heads * attention.head_dim
            attention.q_proj, attention.k_proj, attention.v_proj = (nn.Linear(dim, attention.embed_dim) for _ in range(3))
            attention.out_proj = nn.Linear(attention.embed_dim, dim)
            attention.skip_embed_dim_check = True
    model.load_state_dict(checkpoint["model"])
    return model


def test_the_exported_file_names_the_removed_heads(export):
    checkpoint = torch.load(export(SIZES, shrink=remove_everything)["checkpoint"], weights_only=True)
    assert checkpoint["Pruned_heads"] == [{0: [1, 3], 1: [0]}]
    assert checkpoint["Upstream_Config"]["melhubert"]["encoder_ffn_embed_dim"] == 40
    assert checkpoint["model"]["encoder.layers.1.fc1.weight"].shape == (40, 32)
    assert "Pruned_heads" not in torch.load(export(SIZES, shrink=remove_rows)["checkpoint"], weights_only=True)


def test_a_factorized_encoder_is_refused(export):
    rule = r"c\.json: the published format has no factorized matrices; .* got 2 factorized matrices, the first one q_proj of block 1; "

    def factorize_matrices(model):
        factorize(model.blocks[1], "q_proj", 4)
        factorize(model.blocks[1], "fc2", 4)

    with pytest.raises(ValueError, match=rule + "export its parent"):
        export(SIZES, shrink=factorize_matrices)


def test_blocks_with_different_numbers_of_rows_are_refused(export):
    rule = r"c\.json: in the published format all blocks have the same number of feed-forward rows; .* got \[47, 48\]; "
    with pytest.raises(ValueError, match=rule + "export its parent"):
        export(SIZES, shrink=lambda model: keep_rows(model.blocks[0], list(range(47))))


def head_pruned_state():
    """Return the weights of a model without two heads of block 0 and one of block 1, as the authors' program saves them."""
    model = MelHuBERTModel(MelHuBERTConfig(**SIZES))
    remove_heads(model)
    return {published_name(name): tensor for name, tensor in model.state_dict().items()}


def test_a_checkpoint_of_the_authors_without_some_heads_is_converted(convert):
    state = head_pruned_state()
    # Positions count among the heads that are left: in the second step, position 2 of block 0 is head 3.
    folder = convert(state, SIZES, Pruned_heads=[{0: [1]}, {0: [2], 1: [0]}])
    heads = [layer["heads"] for layer in read_json(folder / "config.json")["layers"]]
    assert heads == [[0, 2], [1, 2, 3]]
    tensors = load_tensors(folder / "model.safetensors")
    assert torch.equal(tensors["layers.0.q_proj.weight"], state["encoder.layers.0.self_attn.q_proj.weight"])
    assert encoders.load(folder).features([np.ones(8000, np.float32)], 2)[0].shape[1] == 32


def test_a_checkpoint_of_the_authors_with_masked_weights_is_converted(convert):
    model = FairseqMelHuBERT(SIZES, 0.0, seed=0)
    layers = model.encoder.layers
    pruned = [(layers[0].fc1, "weight"), (layers[0].fc1, "bias"), (layers[1].self_attn.q_proj, "weight")]
    prune.global_unstructured(pruned, prune.L1Unstructured, amount=0.7)
    folder = convert(model.state_dict(), SIZES, Pruning=dict(smooth_loss=None, tgt_smooth_loss=-float("inf"), pruning_times=1))
    tensors = load_tensors(folder / "model.safetensors")
    for (module, part), name in zip(pruned, ["layers.0.fc1.weight", "layers.0.fc1.bias", "layers.1.q_proj.weight"]):
        assert torch.equal(tensors[name], getattr(module, part))
    assert sum(int((tensors[name] == 0).sum()) for name in tensors if name.startswith("layers.0.fc1")) > 500
    report = {row["source"]: row["name"] for row in tables.read(folder / "report.parquet", LOAD_REPORT).to_pylist()}
    assert report["encoder.layers.0.fc1.weight_mask"] == report["encoder.layers.0.fc1.weight_orig"] == "layers.0.fc1.weight"


def test_missing_heads_without_their_names_are_refused(convert):
    rule = r"melhubert\.ckpt: a checkpoint without all of its heads names the removed ones under 'Pruned_heads'; .* got 16 rows"
    with pytest.raises(ValueError, match=rule + ".* take the file that the pruning program saved"):
        convert(head_pruned_state(), SIZES)


@pytest.mark.parametrize(
    "steps",
    [
        7,
        {0: [1]},
        [[0]],
        [{0: 1}],
        [{0: [4]}],
        [{0: [-1]}],
        [{0: [1, 1]}],
        [{2: [0]}],
        [{"0": [0]}],
        [{0: [0, 1, 2, 3]}],
        [{0: {}}, {0: {1: 1}}],
    ],
)
def test_damaged_names_of_heads_are_refused(convert, steps):
    with pytest.raises(ValueError, match=r"melhubert\.ckpt: 'Pruned_heads' names the heads .* expected a list of dictionaries"):
        convert(head_pruned_state(), SIZES, Pruned_heads=steps)


def test_an_array_of_objects_is_refused(tmp_path):
    np.save(tmp_path / "o.npy", np.array([print], object), allow_pickle=True)
    np.save(tmp_path / "i.npy", np.arange(3))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "i.npy").read_bytes()[:-9])
    for name in ("o.npy", "i.npy", "cut.npy"):
        with pytest.raises(ValueError, match=rf"{name}: only tensors are read from a foreign file"):
            read_array(tmp_path / name)
