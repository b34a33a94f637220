"""Wav2Vec2-BERT: the input and the hidden states of transformers, alone and in batches; units; conversion; what is refused."""

import numpy as np
import pytest
import torch
import transformers

from speech2unit import encoders
from speech2unit.encoders.architectures.wav2vec2_bert import convert, sizes_from_transformers
from speech2unit.encoders.convert_encoder import convert_encoder
from speech2unit.encoders.models.wav2vec2_bert import log_mel_pairs
from speech2unit.quantize import nearest_centroids
from storage.weights import save_config, save_tensors
from tests.random_models import with_random_weights

pytestmark = pytest.mark.slow  # the published code that the tests compare with takes seconds to import

SIZES = dict(num_layers=3, dim=32, ffn_dim=48, num_heads=4, conv_kernel=5, max_left=6, max_right=2)
CONFIG = transformers.Wav2Vec2BertConfig(
    num_hidden_layers=3,
    hidden_size=32,
    intermediate_size=48,
    num_attention_heads=4,
    conv_depthwise_kernel_size=5,
    left_max_position_embeddings=6,
    right_max_position_embeddings=2,
    vocab_size=10,
    pad_token_id=0,
)
RNG = np.random.default_rng(0)
NOISE = (RNG.standard_normal(16_000) / 10).astype(np.float32)
LENGTHS = (16_000, 560, 9_759, 5_440, 13_333)  # 9,759 samples have an odd number of log-Mel frames
WAVEFORMS = [NOISE[:length] + np.float32(0.01) for length in LENGTHS]


def reference_inputs(waveforms):
    extractor = transformers.SeamlessM4TFeatureExtractor()
    return extractor(waveforms, sampling_rate=16_000, return_tensors="pt")


@pytest.fixture(scope="module")
def reference():
    return with_random_weights(transformers.Wav2Vec2BertForCTC(CONFIG))


@pytest.fixture
def encoder(tmp_path, reference):
    save_tensors(tmp_path / "model.safetensors", convert(reference.state_dict(), SIZES)[0])
    save_config(tmp_path / "config.json", dict(architecture="wav2vec2_bert", **SIZES))
    return encoders.load(tmp_path)


@pytest.mark.parametrize("waveform", WAVEFORMS, ids=len)
def test_the_input_is_that_of_transformers(waveform):
    inputs = reference_inputs(waveform)
    expected = inputs.input_features[0][inputs.attention_mask[0].bool()]
    features = log_mel_pairs(torch.from_numpy(waveform))
    assert features.shape == expected.shape and features.dtype == torch.float32
    torch.testing.assert_close(features, expected, atol=1e-4, rtol=0)


@pytest.mark.slow
@torch.no_grad()
def test_every_layer_is_that_of_transformers_alone_and_in_a_batch(encoder, reference):
    assert (encoder.dim, encoder.num_layers, encoder.hop_length, encoder.sample_rate) == (32, 3, 320, 16_000)
    frames = [encoder.model.front_end(torch.from_numpy(waveform)) for waveform in WAVEFORMS]
    batches = [encoder.model.hidden_state(frames, layer) for layer in range(4)]
    for i, waveform in enumerate(WAVEFORMS):
        inputs = reference_inputs(waveform)
        states = reference.wav2vec2_bert(**inputs, output_hidden_states=True).hidden_states
        assert len(states) == 4
        for layer, state in enumerate(states):
            expected = state[0][inputs.attention_mask[0].bool()].numpy()
            (alone,) = encoder.features([waveform], layer)
            assert expected.std() > 0.1
            np.testing.assert_allclose(alone, expected, atol=1e-4)
            np.testing.assert_allclose(batches[layer][i, : len(expected)], expected, atol=1e-4)


@pytest.mark.slow
def test_units_are_the_same_alone_and_in_batches(encoder):
    alone = [encoder.features([waveform], 2)[0] for waveform in WAVEFORMS]
    frames = [encoder.model.front_end(torch.from_numpy(waveform)) for waveform in WAVEFORMS]
    padded = encoder.model.hidden_state(frames, 2).numpy()  # as on a GPU
    centroids = np.concatenate(alone)[::3]
    for features, in_batch, expected in zip(encoder.features(WAVEFORMS, 2), padded, alone):
        assert np.array_equal(features, expected)
        units = nearest_centroids(expected, centroids)
        assert np.array_equal(nearest_centroids(in_batch[: len(expected)], centroids), units)


@pytest.mark.slow
def test_a_transformers_folder_is_converted(tmp_path, reference, encoder):
    reference.half().save_pretrained(tmp_path / "published")
    convert_encoder(
        checkpoint=[tmp_path / "published/model.safetensors", tmp_path / "published/config.json"],
        model=tmp_path / "converted/model.safetensors",
        config=tmp_path / "converted/config.json",
        load_report=tmp_path / "converted/load_report.parquet",
        architecture="wav2vec2_bert",
        sha256=[],
        sizes={},
    )
    reference.float()
    (features,) = encoders.load(tmp_path / "converted").features(WAVEFORMS[:1], 3)
    np.testing.assert_allclose(features, encoder.features(WAVEFORMS[:1], 3)[0], atol=0.02)


def test_tensors_for_other_purposes_are_left_out_and_unknown_ones_are_refused(reference):
    tensors = reference.state_dict()
    _, rows = convert(tensors, SIZES)
    left_out = {row["source"] for row in rows if not row["name"]}
    assert left_out == {"wav2vec2_bert.masked_spec_embed", "lm_head.weight", "lm_head.bias"}
    tensors["wav2vec2_bert.encoder.layers.0.new.weight"] = torch.zeros(1)
    message = "wav2vec2_bert checkpoint: .*unexpected wav2vec2_bert.encoder.layers.0.new.weight; correct its sizes"
    with pytest.raises(ValueError, match=message):
        convert(tensors, SIZES)


def test_sizes_are_read_from_config_json():
    assert sizes_from_transformers(CONFIG.to_dict()) == SIZES


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(model_type="wav2vec2-conformer"), "'model_type' must be .*; expected wav2vec2-bert, got 'wav2vec2-conformer'"),
        (dict(position_embeddings_type="rotary"), "'position_embeddings_type' must be .*; expected relative_key, got 'rotary'"),
        (dict(hidden_act="gelu"), "'hidden_act' must be .*; expected swish, got 'gelu'"),
        (dict(left_max_position_embeddings=-1), "'left_max_position_embeddings'"),
    ],
)
def test_another_kind_of_model_or_value_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        sizes_from_transformers(CONFIG.to_dict() | change)


def test_a_waveform_shorter_than_a_frame_is_refused(encoder):
    message = "a waveform must be at least one frame long; expected at least 560 samples, got 559; drop the utterance"
    with pytest.raises(ValueError, match=message):
        encoder.features([NOISE[:559]], 1)
