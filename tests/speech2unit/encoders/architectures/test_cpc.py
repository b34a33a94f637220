"""CPC: fairseq's reader with the same random weights, pieces, batches, conversion."""

import importlib

import numpy as np
import pytest
import soundfile
import torch

from speech2unit import encoders
from speech2unit.encoders.architectures.cpc import CPCConfig, CPCModel, convert
from storage.weights import save_config, save_tensors

SIZES = dict(conv_dim=16, dim=24, num_layers=2)
PIECE = 64_000


@pytest.fixture(scope="module")
def peer():
    return importlib.import_module("fairseq.examples.textless_nlp.gslm.speech2unit.pretrained.cpc_feature_reader")


@pytest.fixture(scope="module")
def checkpoint(peer, tmp_path_factory):
    """A checkpoint of 3 LSTMs as `CpcFeatureReader` loads it."""
    torch.manual_seed(0)
    model = peer.CPCModel(peer.CPCEncoder(16), peer.CPCAR(16, 24, False, 3))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    path = tmp_path_factory.mktemp("cpc") / "checkpoint.pt"
    config = dict(hiddenEncoder=16, hiddenGar=24, nLevelsGRU=3)
    torch.save(dict(weights=model.state_dict(), config=config), path)
    return path


@pytest.fixture(scope="module")
def encoder(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    tensors, _ = convert(torch.load(checkpoint)["weights"], SIZES)
    save_tensors(folder / "model.safetensors", tensors)
    save_config(folder / "config.json", dict(architecture="cpc") | SIZES)
    return encoders.load(folder)


def waveform(num_samples):
    return (0.1 * np.random.default_rng(num_samples).standard_normal(num_samples)).astype(np.float32)


def reader_features(peer, checkpoint, path, layer):
    reader = peer.CpcFeatureReader(str(checkpoint), max(layer, 1), use_encoder_layer=layer == 0, use_cuda=False)
    return reader.get_feats(str(path)).numpy()


@pytest.mark.parametrize("layer", [0, 1, 2])
@pytest.mark.parametrize("num_samples", [400, 16_000, 16_317, PIECE, PIECE + 5_000, 2 * PIECE + 12_345])
def test_features_equal_those_of_fairseqs_reader(peer, checkpoint, encoder, tmp_path, layer, num_samples):
    soundfile.write(tmp_path / "a.wav", waveform(num_samples), 16_000, subtype="FLOAT")
    expected = reader_features(peer, checkpoint, tmp_path / "a.wav", layer)
    (found,) = encoder.features([waveform(num_samples)], layer)
    assert found.shape == expected.shape and found.dtype == np.float32
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def test_what_is_left_over_and_less_than_a_frame_adds_none(encoder):
    (found,) = encoder.features([waveform(PIECE + 100)], 2)
    assert found.shape == (400, 24)  # the reader gives 800: all frames once more


@pytest.mark.parametrize("layer", [0, 2])
def test_features_of_a_batch_are_those_of_each_alone(encoder, layer):
    waveforms = [waveform(n) for n in (9000, PIECE + 700, 400, 3333)]
    for alone, together in zip(waveforms, encoder.features(waveforms, layer)):
        np.testing.assert_allclose(together, encoder.features([alone], layer)[0], atol=1e-5)


@pytest.mark.parametrize("num_samples", [399, PIECE - 1, PIECE, PIECE + 1, PIECE + 159, PIECE + 300, 2 * PIECE + 480])
def test_overlapping_pieces_change_no_frame(encoder, num_samples):
    signal = torch.from_numpy(waveform(num_samples))
    with torch.no_grad():
        expected = encoder.model.convolve(signal)
        torch.testing.assert_close(encoder.model.frames(signal), expected, atol=1e-5, rtol=0)
    assert len(expected) == (num_samples + 1) // 160


def test_members(encoder):
    assert (encoder.dim, encoder.num_layers, encoder.hop_length, encoder.sample_rate) == (24, 2, 160, 16_000)


def test_the_report_names_every_tensor_and_those_left_out(checkpoint):
    tensors = torch.load(checkpoint)["weights"]
    found, rows = convert(tensors, SIZES)
    assert {row["source"] for row in rows} == tensors.keys() and {row["name"] for row in rows} - {""} == found.keys()
    assert {row["source"] for row in rows if not row["name"]} == {name for name in tensors if name.endswith("_l2")}
    first = dict(source="gEncoder.conv0.weight", name="convs.0.weight", shape=[16, 1, 10], dtype="float32")
    assert first in rows and found["convs.0.weight"] is tensors["gEncoder.conv0.weight"]


def test_the_published_size():
    with torch.device("meta"):
        model = CPCModel(CPCConfig(512, 512, 2))
    convolutions = sum(512 * i * k + 3 * 512 for i, k in zip((1, 512, 512, 512, 512), (10, 8, 4, 4, 4)))
    assert sum(p.numel() for p in model.parameters()) == convolutions + 2 * (2 * 4 * 512 * 512 + 2 * 4 * 512)


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda t: t.pop("gEncoder.conv1.bias"), r"missing': \['convs.1.bias'\]"),
        (lambda t: t.update(extra=torch.zeros(1)), r"unexpected': \['extra'\]"),
        (lambda t: t.update({"gEncoder.conv1.bias": torch.zeros(7)}), r"misshapen': \['convs.1.bias'\]"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused(checkpoint, change, said):
    tensors = dict(torch.load(checkpoint)["weights"])
    change(tensors)
    with pytest.raises(ValueError, match="cpc checkpoint: its tensors must be those of the architecture; .*" + said):
        convert(tensors, SIZES)
