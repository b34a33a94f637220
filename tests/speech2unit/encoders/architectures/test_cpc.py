"""CPC: the features of fairseq's reader with the same random weights, chunks, batches, conversion."""

import importlib

import numpy as np
import pytest
import soundfile
import torch

from speech2unit import encoders
from speech2unit.encoders.architectures.cpc import CHUNK_SAMPLES, CPCConfig, CPCModel, convert
from storage.weights import save_config, save_tensors

pytestmark = pytest.mark.slow  # the published code that the tests compare with takes seconds to import

SIZES = dict(conv_dim=16, dim=24, num_layers=2)


@pytest.fixture(scope="module")
def fairseq_module():
    return importlib.import_module("fairseq.examples.textless_nlp.gslm.speech2unit.pretrained.cpc_feature_reader")


@pytest.fixture(scope="module")
def checkpoint(fairseq_module, tmp_path_factory):
    """A checkpoint with three LSTMs as `CpcFeatureReader` loads it."""
    torch.manual_seed(0)
    model = fairseq_module.CPCModel(fairseq_module.CPCEncoder(16), fairseq_module.CPCAR(16, 24, False, 3))
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


def noise(num_samples):
    return (0.1 * np.random.default_rng(num_samples).standard_normal(num_samples)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("layer", [0, 1, 2])
@pytest.mark.parametrize("num_samples", [400, 16_000, 16_317, CHUNK_SAMPLES, CHUNK_SAMPLES + 5_000, 2 * CHUNK_SAMPLES + 12_345])
def test_features_equal_those_of_fairseqs_reader(fairseq_module, checkpoint, encoder, tmp_path, layer, num_samples):
    soundfile.write(tmp_path / "a.wav", noise(num_samples), 16_000, subtype="FLOAT")
    reader = fairseq_module.CpcFeatureReader(str(checkpoint), max(layer, 1), use_encoder_layer=layer == 0, use_cuda=False)
    expected = reader.get_feats(str(tmp_path / "a.wav")).numpy()
    (features,) = encoder.features([noise(num_samples)], layer)
    assert features.shape == expected.shape and features.dtype == np.float32
    assert np.abs(features - expected).max() <= 1e-4 * np.abs(expected).max()


def test_less_than_a_frame_after_the_last_chunk_adds_no_frame(encoder):
    (features,) = encoder.features([noise(CHUNK_SAMPLES + 100)], 2)
    assert features.shape == (400, 24)  # fairseq's reader returns 800: all frames twice


@pytest.mark.parametrize("num_samples", [400, 479, 480, 63_999, 64_000, 64_159, 64_160, 69_000, 128_100, 140_345])
def test_frames_are_counted_without_computing_them(encoder, num_samples):
    (features,) = encoder.features([noise(num_samples)], 1)
    assert len(features) == encoder.num_frames(num_samples)


@pytest.mark.parametrize("layer", [0, 2])
def test_features_do_not_depend_on_the_batch(encoder, layer):
    waveforms = [noise(n) for n in (9000, CHUNK_SAMPLES + 700, 400, 3333)]
    for waveform, features in zip(waveforms, encoder.features(waveforms, layer)):
        np.testing.assert_allclose(features, encoder.features([waveform], layer)[0], atol=1e-5)


@pytest.mark.parametrize(
    "num_samples",
    [399, CHUNK_SAMPLES - 1, CHUNK_SAMPLES, CHUNK_SAMPLES + 1, CHUNK_SAMPLES + 159, CHUNK_SAMPLES + 300, 2 * CHUNK_SAMPLES + 480],
)
def test_overlapping_chunks_of_convolutions_change_no_frame(encoder, num_samples):
    waveform = torch.from_numpy(noise(num_samples))
    with torch.no_grad():
        expected = encoder.model.convolve(waveform)
        torch.testing.assert_close(encoder.model.frames(waveform), expected, atol=1e-5, rtol=0)
    assert len(expected) == (num_samples + 1) // 160


def test_members(encoder):
    assert (encoder.dim, encoder.num_layers, encoder.hop_length, encoder.sample_rate) == (24, 2, 160, 16_000)


def test_the_report_names_all_tensors_and_those_that_are_left_out(checkpoint):
    tensors = torch.load(checkpoint)["weights"]
    converted, rows = convert(tensors, SIZES)
    assert {row["source"] for row in rows} == tensors.keys()
    assert {row["name"] for row in rows} - {""} == converted.keys()
    assert {row["source"] for row in rows if not row["name"]} == {name for name in tensors if name.endswith("_l2")}
    assert dict(source="gEncoder.conv0.weight", name="convs.0.weight", shape=[16, 1, 10], dtype="float32") in rows
    assert converted["convs.0.weight"] is tensors["gEncoder.conv0.weight"]


def test_the_published_sizes_have_the_published_number_of_parameters():
    with torch.device("meta"):
        model = CPCModel(CPCConfig(512, 512, 2))
    convolutions = sum(512 * i * k + 3 * 512 for i, k in zip((1, 512, 512, 512, 512), (10, 8, 4, 4, 4)))
    assert sum(p.numel() for p in model.parameters()) == convolutions + 2 * (2 * 4 * 512 * 512 + 2 * 4 * 512)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda tensors: tensors.pop("gEncoder.conv1.bias"), "missing convs.1.bias"),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), "unexpected extra"),
        (lambda tensors: tensors.update({"gEncoder.conv1.bias": torch.zeros(7)}), r"misshapen convs.1.bias \(7,\), not"),
    ],
)
def test_a_checkpoint_of_another_model_is_refused(checkpoint, change, problem):
    tensors = dict(torch.load(checkpoint)["weights"])
    change(tensors)
    with pytest.raises(ValueError, match="cpc checkpoint: its tensors must be those of the architecture; .*" + problem):
        convert(tensors, SIZES)
