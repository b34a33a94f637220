"""Whisper: the hidden states of transformers, with and without padding; published sizes; windows; batches; what is refused."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import transformers

from speech2unit import encoders
from speech2unit.encoders.architectures import whisper
from speech2unit.encoders.convert_encoder import convert_encoder
from speech2unit.encoders.models import chunks
from speech2unit.quantize import nearest_centroids
from storage.weights import load_tensors, save_config, save_tensors
from superb.hidden_states import EncoderTuning, batch_hidden_states, plain_hidden_states
from superb.prompts import DeepPrompt, InputPrompt
from tests.random_models import with_random_weights
from workflow.scripts.config_files import default_config

SIZES = dict(num_mels=80, num_positions=600, num_layers=3, dim=32, ffn_dim=48, num_heads=4)
WITH_NORM = dict(padded=False, final_norm=True)
WITHOUT_NORM = dict(padded=False, final_norm=False)
AS_PUBLISHED = dict(padded=True, final_norm=True)
RNG = np.random.default_rng(0)
NOISE = (RNG.standard_normal(50_000) / 10).astype(np.float32)
LENGTHS = (16_000, 400, 9_759, 5_440, 13_333)
WAVEFORMS = [NOISE[:length] + np.float32(0.01) for length in LENGTHS]
# Parameters of the published encoders in transformers, 1,500 positions included.
NUM_PARAMETERS = dict(
    whisper_tiny=8_208_384,
    whisper_base=20_590_592,
    whisper_small=88_154_112,
    whisper_medium=307_216_384,
    whisper_large=636_784_640,
    whisper_large_v3=636_968_960,
)


def transformers_config(sizes):
    return transformers.WhisperConfig(
        num_mel_bins=sizes["num_mels"],
        max_source_positions=sizes["num_positions"],
        encoder_layers=sizes["num_layers"],
        d_model=sizes["dim"],
        encoder_ffn_dim=sizes["ffn_dim"],
        encoder_attention_heads=sizes["num_heads"],
        decoder_layers=1,
        decoder_ffn_dim=16,
        decoder_attention_heads=2,
        vocab_size=10,
        pad_token_id=0,
    )


def reference(sizes):
    return with_random_weights(transformers.WhisperForConditionalGeneration(transformers_config(sizes)))


def save_encoder(folder, model, sizes):
    """Save the converted tensors of a reference model, and return the encoder."""
    save_tensors(folder / "model.safetensors", whisper.convert(model.state_dict(), sizes)[0])
    save_config(folder / "config.json", dict(architecture="whisper", **sizes))
    return encoders.load(folder)


def mel_frames(waveform, sizes, padding):
    extractor = transformers.WhisperFeatureExtractor(feature_size=sizes["num_mels"], chunk_length=sizes["num_positions"] // 50)
    return extractor(waveform, sampling_rate=16_000, padding=padding, return_tensors="pt").input_features


@torch.no_grad()
def padded_states(model, waveform, sizes):
    """Return the hidden states of the published computation: 12 s in this test, the last state normalized."""
    states = model.model.encoder(mel_frames(waveform, sizes, "max_length"), output_hidden_states=True).hidden_states
    num_frames = -(-(len(waveform) // 160) // 2)
    return [state[0, :num_frames].numpy() for state in states]


@torch.no_grad()
def states_without_padding(model, waveform, sizes):
    """Return what the parts of the reference compute for the frames of the audio alone; it refuses a shorter input as a whole."""
    encoder = model.model.encoder
    x = F.gelu(encoder.conv2(F.gelu(encoder.conv1(mel_frames(waveform, sizes, "do_not_pad"))))).transpose(1, 2)
    states = [x + encoder.embed_positions.weight[: x.shape[1]]]
    for layer in encoder.layers:
        output = layer(states[-1], None)
        states.append(output[0] if isinstance(output, tuple) else output)
    return [state[0].numpy() for state in (*states, encoder.layer_norm(states[-1]))]


@pytest.mark.slow
@pytest.mark.parametrize("num_mels", [80, 128])
@pytest.mark.parametrize("settings", [WITH_NORM, WITHOUT_NORM, AS_PUBLISHED], ids=["norm", "no norm", "published"])
def test_every_layer_is_that_of_transformers(tmp_path, num_mels, settings):
    sizes = SIZES | settings | dict(num_mels=num_mels)
    model = reference(sizes)
    encoder = save_encoder(tmp_path, model, sizes)
    assert (encoder.dim, encoder.num_layers, encoder.hop_length, encoder.sample_rate) == (32, 3, 320, 16_000)
    for waveform in WAVEFORMS:
        if settings["padded"]:
            expected_states = padded_states(model, waveform, sizes)
        else:
            *expected_states, last, normed = states_without_padding(model, waveform, sizes)
            expected_states.append(normed if settings["final_norm"] else last)
        assert len(expected_states) == 4
        for layer, expected in enumerate(expected_states):
            (features,) = encoder.features([waveform], layer)
            assert features.shape == expected.shape and features.dtype == np.float32
            np.testing.assert_allclose(features, expected, atol=1e-4)
            assert expected.std() > 0.1


def test_padding_changes_the_features(tmp_path):
    """Attention sees the frames of silence, so this is a setting and not a matter of speed alone."""
    model = reference(SIZES)
    states = states_without_padding(model, WAVEFORMS[0], SIZES)
    with_silence = padded_states(model, WAVEFORMS[0], SIZES)
    np.testing.assert_allclose(states[0][:-1], with_silence[0][:-1], atol=1e-4)
    assert np.abs(states[2] - with_silence[2]).max() > 0.1


@pytest.fixture(params=[WITHOUT_NORM, AS_PUBLISHED], ids=["audio alone", "published"])
def encoder(request, tmp_path):
    sizes = SIZES | request.param
    return save_encoder(tmp_path, reference(sizes), sizes)


@pytest.mark.slow
def test_units_are_the_same_alone_and_in_batches(encoder):
    alone = [encoder.features([waveform], 2)[0] for waveform in WAVEFORMS]
    together = encoder.features(WAVEFORMS, 2)
    centroids = np.concatenate(alone)[::3]
    for features, expected in zip(together, alone):
        assert np.array_equal(features, expected)
        assert np.array_equal(nearest_centroids(features, centroids), nearest_centroids(expected, centroids))
    frames = [encoder.model.front_end(torch.from_numpy(waveform)) for waveform in WAVEFORMS]
    for state, expected in zip(encoder.model.hidden_state(frames, 2), alone):  # one padded batch, as on a GPU
        np.testing.assert_allclose(state[: len(expected)], expected, atol=1e-4)
        units = nearest_centroids(state[: len(expected)].numpy(), centroids)
        assert np.array_equal(units, nearest_centroids(expected, centroids))


# windows


@pytest.fixture
def short_windows(monkeypatch, tmp_path):
    """Folder of an encoder with windows of 40 frames that overlap by 8."""
    monkeypatch.setattr(chunks, "OVERLAP_FRAMES", 8)
    sizes = SIZES | WITHOUT_NORM | dict(num_positions=40)
    save_encoder(tmp_path, reference(sizes), sizes)
    return tmp_path


def test_longer_audio_is_computed_in_overlapping_windows_with_positions_of_their_own(short_windows):
    encoder = encoders.load(short_windows)
    (features,) = encoder.features([NOISE], 2)
    assert len(features) == 156
    frames = encoder.model.front_end(torch.from_numpy(NOISE))
    for start, stop, first, last in ((0, 24, 0, 32), (24, 48, 16, 56), (144, 156, 136, 156)):
        window = encoder.model.hidden_state([frames[first:last]], 2)[0]
        np.testing.assert_array_equal(features[start:stop], window[start - first : stop - first])


@pytest.mark.slow
def test_a_trunk_computes_the_same_windows(short_windows):
    encoder, trunk = encoders.load(short_windows), encoders.load_trunk(short_windows)
    waveforms = [NOISE, NOISE[:8_000], NOISE[:20_000]]
    states, lengths = batch_hidden_states(trunk, EncoderTuning(), waveforms)
    assert lengths.tolist() == [156, 25, 63]
    alone = plain_hidden_states(trunk, waveforms)
    for layer in range(4):
        for number, features in enumerate(encoder.features(waveforms, layer)):
            np.testing.assert_allclose(states[layer, number, : lengths[number]].detach(), features, atol=1e-4)
            np.testing.assert_allclose(alone[number][layer], features, atol=1e-4)


def test_a_prompt_is_put_before_each_window(short_windows):
    trunk = encoders.load_trunk(short_windows)
    settings = dict(length=2, initialization="mean", init_scale=0.1)
    prompt = InputPrompt(trunk, **settings)
    prompt.initialize(trunk, [NOISE])
    states, lengths = batch_hidden_states(trunk, prompt, [NOISE])
    assert lengths.tolist() == [156] and states.shape == (4, 1, 156, 32)
    (first, *_) = trunk.windows(torch.from_numpy(NOISE))
    x = torch.cat([prompt.input, first])[None]
    for layer in trunk.layer_functions(x, None):
        x = layer(x)
    torch.testing.assert_close(states[-1, 0, :24], x[0, 2:26], atol=1e-4, rtol=0)


def test_without_a_positional_convolution_the_vectors_at_the_input_of_a_deep_prompt_are_not_trained(short_windows):
    trunk = encoders.load_trunk(short_windows).requires_grad_(False)
    prompt = DeepPrompt(trunk, length=2, initialization="normal", init_scale=0.1)
    assert {name for name, p in prompt.named_parameters() if p.requires_grad} == {"blocks"}


# conversion


@pytest.mark.slow
@pytest.mark.parametrize("preset", NUM_PARAMETERS)
def test_presets_have_the_sizes_of_the_published_models(preset):
    sizes = default_config()["convert_encoder"][preset]["sizes"] | dict(final_norm=True)
    with torch.device("meta"):
        tensors = transformers.WhisperForConditionalGeneration(transformers_config(sizes)).model.encoder.state_dict()
    assert sum(tensor.numel() for tensor in tensors.values()) == NUM_PARAMETERS[preset]
    converted, _ = whisper.convert({f"encoder.{name}": tensor for name, tensor in tensors.items()}, sizes)
    keys_without_bias = sizes["num_layers"] * sizes["dim"]
    assert sum(tensor.numel() for tensor in converted.values()) == NUM_PARAMETERS[preset] + keys_without_bias


def convert_files(folder, files, sizes):
    convert_encoder(
        checkpoint=[folder / file for file in files],
        model=folder / "encoder/model.safetensors",
        config=folder / "encoder/config.json",
        load_report=folder / "encoder/load_report.parquet",
        architecture="whisper",
        sha256=[],
        sizes=sizes,
    )
    return encoders.load(folder / "encoder")


@pytest.mark.slow
def test_a_transformers_folder_and_openais_file_give_the_same_encoder(tmp_path):
    model = reference(SIZES)
    model.half().save_pretrained(tmp_path)
    states = {}
    for name, tensor in model.model.state_dict().items():
        for part, replacement in (("layers.", "blocks."), ("embed_positions.weight", "positional_embedding")):
            name = name.replace(part, replacement)
        states[name] = tensor
    torch.save(dict(dims=dict(n_mels=80, n_audio_ctx=600), model_state_dict=states), tmp_path / "tiny.en.pt")
    from_folder = convert_files(tmp_path, ["model.safetensors", "config.json"], {})
    tensors = load_tensors(tmp_path / "encoder/model.safetensors")
    expected = states_without_padding(model.float(), WAVEFORMS[0], SIZES)[3]
    np.testing.assert_allclose(from_folder.features(WAVEFORMS[:1], 3)[0], expected, atol=1e-4)
    convert_files(tmp_path, ["tiny.en.pt"], SIZES | WITHOUT_NORM)
    from_file = load_tensors(tmp_path / "encoder/model.safetensors")
    assert tensors.keys() == from_file.keys() and all(torch.equal(tensors[name], from_file[name]) for name in tensors)


@pytest.mark.slow
def test_a_preset_goes_before_the_config_of_a_transformers_folder(tmp_path):
    reference(SIZES).save_pretrained(tmp_path)
    encoder = convert_files(tmp_path, ["model.safetensors", "config.json"], SIZES | AS_PUBLISHED)
    assert encoder.model.config.padded and encoder.model.final_norm is not None


# what is refused


def test_a_padded_encoder_is_not_trained_further(tmp_path):
    save_encoder(tmp_path, reference(SIZES), SIZES | AS_PUBLISHED)
    message = "reads the frames of the audio alone; expected 'padded: false', got 'padded: true'; name a preset without padding"
    for load in (encoders.load_trunk, encoders.load_trainable):
        with pytest.raises(ValueError, match=message):
            load(tmp_path)
    with pytest.raises(ValueError, match=message):
        whisper.build_student(SIZES | AS_PUBLISHED, 0.0)


def test_a_waveform_shorter_than_a_frame_is_refused(encoder):
    message = "a waveform must be at least one frame long; expected at least 400 samples, got 399; drop the utterance"
    with pytest.raises(ValueError, match=message):
        encoder.features([NOISE[:399]], 1)
