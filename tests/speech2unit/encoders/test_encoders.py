"""Loading encoders as encoders, as trunks and for training; checks before features are computed."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from speech2unit import encoders
from speech2unit.encoders.architectures import decoar2
from speech2unit.encoders.architectures.log_mel import LogMel
from speech2unit.encoders.models.log_mel import FrontEnd
from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from speech2unit.encoders.models.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model
from speech2unit.encoders.models.wav2vec2_bert import Wav2Vec2BertConfig, Wav2Vec2BertModel
from speech2unit.encoders.models.whisper import WhisperConfig, WhisperModel
from storage.weights import load_tensors, save_config, save_tensors
from tests.random_models import with_random_weights

DECOAR2 = dict(num_layers=2, dim=32, ffn_dim=48, num_heads=4, pos_conv_kernel=8, pos_conv_groups=4)
WAV2VEC2 = dict(
    conv_layers=[[16, 10, 5], [24, 8, 4]],
    conv_bias=False,
    conv_norm="group",
    normalize_waveform=False,
    pre_norm=False,
    num_buckets=0,
    max_distance=0,
    **DECOAR2,
)
WAVLM = WAV2VEC2 | dict(conv_norm="layer", normalize_waveform=True, pre_norm=True, num_buckets=8, max_distance=20)
DATA2VEC = WAV2VEC2 | dict(conv_norm="layer", normalize_waveform=True, pos_conv_kernel=5, pos_conv_layers=2)
SEW = WAV2VEC2 | dict(squeeze=2)
CONFORMER = dict(num_layers=2, dim=32, ffn_dim=48, num_heads=4, conv_kernel=5, max_left=6, max_right=2)
MELHUBERT = asdict(MelHuBERTConfig(num_layers=2, dim=16, ffn_dim=32, num_heads=2, conv_kernel=6, conv_groups=4, num_targets=(7,)))
WHISPER = dict(num_mels=80, num_positions=600, num_layers=2, dim=32, ffn_dim=48, num_heads=4, padded=False, final_norm=True)
FRONT_END_TENSORS = dict(mean=torch.zeros(40), std=torch.ones(40))
WAVEFORMS = [np.random.default_rng(0).standard_normal(n).astype(np.float32) / 10 for n in (4000, 900, 2345)]


def build_melhubert():
    settings = dict(architecture="melhubert", subtract_loudness=True) | MELHUBERT
    return with_random_weights(MelHuBERTModel(MelHuBERTConfig(**MELHUBERT))).state_dict() | FRONT_END_TENSORS, settings


def build_wav2vec2(sizes):
    model = Wav2Vec2Model(Wav2Vec2Config(**sizes))
    return with_random_weights(model).state_dict(), dict(architecture="wav2vec2") | sizes


def build_decoar2():
    return with_random_weights(decoar2.build_model(DECOAR2)).state_dict(), dict(architecture="decoar2") | DECOAR2


def build_whisper():
    return with_random_weights(WhisperModel(WhisperConfig(**WHISPER))).state_dict(), dict(architecture="whisper") | WHISPER


def build_wav2vec2_bert():
    model = Wav2Vec2BertModel(Wav2Vec2BertConfig(**CONFORMER))
    return with_random_weights(model).state_dict(), dict(architecture="wav2vec2_bert") | CONFORMER


ENCODERS = dict(
    melhubert=build_melhubert,
    wav2vec2=lambda: build_wav2vec2(WAV2VEC2),
    wavlm=lambda: build_wav2vec2(WAVLM),
    data2vec=lambda: build_wav2vec2(DATA2VEC),
    sew=lambda: build_wav2vec2(SEW),
    wav2vec2_bert=build_wav2vec2_bert,
    decoar2=build_decoar2,
    whisper=build_whisper,
)


def save_encoder(folder, name):
    tensors, settings = ENCODERS[name]()
    save_tensors(folder / "model.safetensors", tensors)
    save_config(folder / "config.json", settings)
    return folder


@pytest.fixture(params=ENCODERS)
def folder(request, tmp_path):
    """Folder of an encoder with transformer blocks."""
    return save_encoder(tmp_path, request.param)


@pytest.fixture
def log_mel():
    return LogMel(FrontEnd(torch.zeros(40), torch.ones(40), False, 20))


# layers_up_to


@pytest.mark.slow
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_an_encoder_without_its_upper_layers_gives_the_same_features_with_fewer_tensors(folder, tmp_path, layer):
    settings, tensors = encoders.layers_up_to(folder, layer)
    save_tensors(tmp_path / "cut/model.safetensors", tensors)
    save_config(tmp_path / "cut/config.json", settings)
    whole, cut = encoders.load(folder), encoders.load(tmp_path / "cut")
    expected = encoders.encode(whole, WAVEFORMS, layer)
    assert all(np.array_equal(a, b) for a, b in zip(expected, encoders.encode(cut, WAVEFORMS, layer)))
    assert cut.num_layers == layer and "provenance" not in settings
    num_blocks = {name.split(".")[1] for name in tensors if name.startswith(("blocks.", "layers."))}
    assert num_blocks == set(map(str, range(layer)))


# load


def test_an_unknown_architecture_is_refused(tmp_path):
    save_config(tmp_path / "config.json", dict(architecture="logmel"))
    message = "'architecture' names a file of speech2unit/encoders/architectures; .* did you mean \"log_mel\""
    with pytest.raises(ValueError, match=message):
        encoders.load(tmp_path)


def test_a_folder_without_an_encoder_is_refused(tmp_path):
    save_config(tmp_path / "config.json", dict(architecture="log_mel"))
    with pytest.raises(ValueError, match=f'an encoder is a folder with config.json .* did you mean "{tmp_path.name}"'):
        encoders.load(f"{tmp_path}s")


# load_trunk


def trunk_states(trunk, waveforms):
    """Return the hidden states `[T_i, D]` of all layers for each waveform, computed as one batch."""
    frames = [trunk.windows(torch.from_numpy(waveform))[0] for waveform in waveforms]
    x = torch.nn.utils.rnn.pad_sequence(frames, batch_first=True)
    valid_mask = torch.arange(x.shape[1]) < torch.tensor([[len(f)] for f in frames])
    states = [trunk.embed(x, valid_mask)]
    for layer in trunk.layer_functions(states[0], valid_mask):
        states.append(layer(states[-1]))
    return [[state[i, : len(f)] for state in states] for i, f in enumerate(frames)]


def test_a_trunk_computes_the_features_of_the_encoder(folder):
    encoder, trunk = encoders.load(folder), encoders.load_trunk(folder)
    states = trunk_states(trunk, WAVEFORMS)
    for attribute in ("sample_rate", "hop_length", "dim", "num_layers"):
        assert getattr(trunk, attribute) == getattr(encoder, attribute)
    assert len(states[0]) == trunk.num_layers + 1
    assert len(trunk.blocks) == trunk.num_layers
    for layer in range(trunk.num_layers + 1):
        for states_of_waveform, features in zip(states, encoder.features(WAVEFORMS, layer)):
            np.testing.assert_allclose(states_of_waveform[layer].detach(), features, atol=1e-4)


def test_all_parameters_of_a_trunk_get_gradients(folder):
    trunk = encoders.load_trunk(folder).requires_grad_(True)
    sum(states[-1].square().sum() for states in trunk_states(trunk, WAVEFORMS)).backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in trunk.parameters())


def test_an_encoder_without_blocks_has_no_trunk(tmp_path):
    save_config(tmp_path / "config.json", dict(architecture="log_mel", subtract_loudness=True))
    message = "need an encoder with transformer blocks; expected .* 'load_trunk', got 'log_mel'; choose another encoder"
    with pytest.raises(ValueError, match=message):
        encoders.load_trunk(tmp_path)


# load_trainable


@pytest.mark.parametrize("name", ["melhubert", "wav2vec2", "wavlm", "data2vec", "sew", "wav2vec2_bert", "whisper"])
def test_a_trainable_encoder_has_the_same_features_and_all_saved_tensors(tmp_path, name):
    folder = save_encoder(tmp_path, name)
    trainable = encoders.load_trainable(folder)
    saved = load_tensors(folder / "model.safetensors")
    held = trainable.model.state_dict() | trainable.front_end_tensors
    assert saved.keys() == held.keys()
    assert all(torch.equal(held[tensor], saved[tensor]) for tensor in saved)
    trainable.model.eval()
    for found, expected in zip(trainable.features(WAVEFORMS, 2), encoders.load(folder).features(WAVEFORMS, 2)):
        np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["melhubert", "wav2vec2"])
def test_a_trainable_encoder_can_hold_another_model(tmp_path, name):
    trainable = encoders.load_trainable(save_encoder(tmp_path, name))
    other_model = encoders.load_trainable(tmp_path).model
    with torch.no_grad():
        for parameter in other_model.blocks[-1].parameters():
            parameter.zero_()
    states, lengths = trainable.with_model(other_model).hidden_states(WAVEFORMS)
    assert len(states) == 3 and states[0].shape == (3, max(lengths), trainable.dim)
    assert not states[-1].any() and states[-1].requires_grad


def test_an_encoder_that_cannot_be_trained_is_refused(tmp_path):
    save_config(tmp_path / "config.json", dict(architecture="log_mel", subtract_loudness=True))
    with pytest.raises(ValueError, match="further training needs an encoder that supports it; .* got 'log_mel'"):
        encoders.load_trainable(tmp_path)


# encode


def test_encode_returns_features_of_any_floats_and_of_no_waveforms(log_mel):
    (expected,) = log_mel.features(WAVEFORMS[:1], 0)
    assert np.array_equal(encoders.encode(log_mel, WAVEFORMS[:1], 0)[0], expected)
    assert np.array_equal(encoders.encode(log_mel, [WAVEFORMS[0].astype(np.float64)], 0)[0], expected)
    assert encoders.encode(log_mel, [], 0) == []


def test_encode_names_the_waveform_that_it_refuses(log_mel):
    waveform = WAVEFORMS[0]
    with pytest.raises(ValueError, match=r"waveform 0: .*got \[\]; .*pass a single waveform as a list of one"):
        encoders.encode(log_mel, waveform, 0)
    for refused, shape in ((waveform[:399], r"\[399\]"), (np.stack([waveform, waveform]), rf"\[2, {len(waveform)}\]")):
        with pytest.raises(ValueError, match=f"waveform 1: a waveform is mono and at least one frame long; .*got {shape}"):
            encoders.encode(log_mel, [waveform, refused], 0)


def test_a_layer_that_the_encoder_lacks_is_refused(log_mel):
    with pytest.raises(ValueError, match="layer: the encoder must have the layer; expected 0 to 0, got 3"):
        encoders.encode(log_mel, WAVEFORMS, 3)
    with pytest.raises(ValueError, match="here: the encoder must have the layer; expected 0 to 0, got 1; change 'layer'"):
        encoders.check_layer(log_mel, 1, "here")


# num_frames


@pytest.mark.parametrize("num_samples", [560, 719, 720, 721, 879, 880, 1199, 1200, 1360, 5000, 7919])
def test_frames_are_counted_without_computing_them(folder, num_samples):
    encoder = encoders.load(folder)
    (features,) = encoder.features([np.random.default_rng(0).standard_normal(num_samples).astype(np.float32)], 0)
    assert len(features) == encoder.num_frames(num_samples)
