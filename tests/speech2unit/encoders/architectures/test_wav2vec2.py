"""wav2vec 2.0 encoders: the same numbers as fairseq, s3prl, torchaudio and transformers; batches, chunks, refusals."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchaudio

from speech2unit import encoders
from speech2unit.encoders.architectures.wav2vec2 import convert, sizes_from_transformers
from speech2unit.encoders.models import chunks, frame_transformer
from speech2unit.quantize import nearest_centroids
from storage.weights import save_config, save_tensors
from tests.random_models import with_random_weights

pytestmark = pytest.mark.slow  # the published code that the tests compare with takes seconds to import

BASE = dict(
    conv_layers=[[16, 10, 5], [20, 3, 2], [24, 2, 2]],
    conv_bias=False,
    conv_norm="group",
    normalize_waveform=False,
    pre_norm=False,
    num_layers=3,
    dim=32,
    ffn_dim=48,
    num_heads=4,
    pos_conv_kernel=8,
    pos_conv_groups=4,
    num_buckets=0,
    max_distance=0,
)
DATA2VEC = BASE | dict(conv_norm="layer", normalize_waveform=True, pos_conv_kernel=5, pos_conv_layers=3)
SEW = BASE | dict(squeeze=2)
SEW_WITHOUT_PROJECTION = SEW | dict(
    conv_layers=[[16, 10, 5], [20, 3, 2], [32, 2, 2]]
)  # as wide as the blocks, so it has no projection
LARGE = BASE | dict(conv_bias=True, conv_norm="layer", normalize_waveform=True, pre_norm=True, pos_conv_kernel=7)
RELATIVE = dict(num_buckets=8, max_distance=20)
HUBERT_BASE = BASE | dict(
    conv_layers=[[512, 10, 5]] + [[512, 3, 2]] * 4 + [[512, 2, 2]] * 2,
    num_layers=12,
    dim=768,
    ffn_dim=3072,
    num_heads=12,
    pos_conv_kernel=128,
    pos_conv_groups=16,
)
LENGTHS = (1600, 30, 977, 55, 1333)  # samples; 30 samples are one frame
NOISE = np.random.default_rng(0).standard_normal(40_000).astype(np.float32) / 10
WAVEFORMS = [NOISE[:n] + np.float32(0.01) for n in LENGTHS]


def build_fairseq_hubert(sizes):
    from fairseq.data import Dictionary
    from fairseq.models.hubert.hubert import HubertConfig, HubertModel
    from fairseq.tasks.hubert_pretraining import HubertPretrainingConfig

    config = HubertConfig(**fairseq_settings(sizes), label_rate=50)
    model = with_random_weights(HubertModel(config, HubertPretrainingConfig(sample_rate=16_000), [Dictionary()]))
    return model, lambda x: [model.extract_features(x, output_layer=i + 1)[0] for i in range(sizes["num_layers"])]


def build_s3prl(sizes):
    from s3prl.upstream.hubert.hubert_model import HubertConfig, HubertModel, HubertPretrainingConfig

    config = HubertConfig(**fairseq_settings(sizes), label_rate=50)
    model = with_random_weights(HubertModel(config, HubertPretrainingConfig(sample_rate=16_000), [[0]]))
    return model, lambda x: [model.extract_features(x, output_layer=i + 1)[0] for i in range(sizes["num_layers"])]


def build_fairseq_wav2vec2(sizes):
    from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model

    model = with_random_weights(
        Wav2Vec2Model(Wav2Vec2Config(**fairseq_settings(sizes), quantize_targets=True, latent_vars=4, final_dim=8))
    )
    return model, lambda x: [model.extract_features(x, None, layer=i)["x"] for i in range(sizes["num_layers"])]


def fairseq_settings(sizes):
    return dict(
        conv_feature_layers=str([tuple(layer) for layer in sizes["conv_layers"]]),
        conv_bias=sizes["conv_bias"],
        extractor_mode="default" if sizes["conv_norm"] == "group" else "layer_norm",
        layer_norm_first=sizes["pre_norm"],
        encoder_layers=sizes["num_layers"],
        encoder_embed_dim=sizes["dim"],
        encoder_ffn_embed_dim=sizes["ffn_dim"],
        encoder_attention_heads=sizes["num_heads"],
        conv_pos=sizes["pos_conv_kernel"],
        conv_pos_groups=sizes["pos_conv_groups"],
    )


def build_torchaudio(sizes):
    shared = dict(
        extractor_mode=f"{sizes['conv_norm']}_norm",
        extractor_conv_layer_config=sizes["conv_layers"],
        extractor_conv_bias=sizes["conv_bias"],
        encoder_embed_dim=sizes["dim"],
        encoder_projection_dropout=0,
        encoder_pos_conv_kernel=sizes["pos_conv_kernel"],
        encoder_pos_conv_groups=sizes["pos_conv_groups"],
        encoder_num_layers=sizes["num_layers"],
        encoder_num_heads=sizes["num_heads"],
        encoder_attention_dropout=0,
        encoder_ff_interm_features=sizes["ffn_dim"],
        encoder_ff_interm_dropout=0,
        encoder_dropout=0,
        encoder_layer_norm_first=sizes["pre_norm"],
        encoder_layer_drop=0,
        aux_num_out=5,
    )
    if sizes["num_buckets"]:
        positions = dict(encoder_num_buckets=sizes["num_buckets"], encoder_max_distance=sizes["max_distance"])
        model = with_random_weights(torchaudio.models.wavlm_model(**shared, **positions))
    else:
        model = with_random_weights(torchaudio.models.wav2vec2_model(**shared))
    return model, lambda x: model.extract_features(x)[0]


def build_transformers(sizes, name):
    transformers = pytest.importorskip("transformers", reason="transformers is no part of the environment")
    config = getattr(transformers, f"{name}Config")(
        hidden_size=sizes["dim"],
        num_hidden_layers=sizes["num_layers"],
        num_attention_heads=sizes["num_heads"],
        intermediate_size=sizes["ffn_dim"],
        feat_extract_norm=sizes["conv_norm"],
        conv_bias=sizes["conv_bias"],
        conv_pos_kernel_size=sizes["pos_conv_kernel"],
        num_conv_pos_embeddings=sizes.get("pos_conv_layers") or sizes["pos_conv_kernel"],
        num_conv_pos_embedding_groups=sizes["pos_conv_groups"],
        squeeze_factor=sizes.get("squeeze"),
        do_stable_layer_norm=sizes["pre_norm"],
        num_buckets=sizes["num_buckets"],
        max_bucket_distance=sizes["max_distance"],
        **{f"conv_{key}": list(values) for key, values in zip(("dim", "kernel", "stride"), zip(*sizes["conv_layers"]))},
    )
    assert sizes_from_transformers(config.to_dict()) == sizes
    model = with_random_weights(getattr(transformers, f"{name}Model")(config))
    outputs = []  # of the blocks: some versions normalise the last one again in `hidden_states`
    for block in model.encoder.layers:
        block.register_forward_hook(lambda _, __, output: outputs.append(output[0] if isinstance(output, tuple) else output))

    def states(x):
        outputs.clear()
        model(x)
        return outputs

    return model, states


REFERENCES = dict(
    fairseq_hubert=build_fairseq_hubert,
    fairseq_wav2vec2=build_fairseq_wav2vec2,
    s3prl=build_s3prl,
    torchaudio=build_torchaudio,
    transformers_hubert=lambda sizes: build_transformers(sizes, "Hubert"),
    transformers_wav2vec2=lambda sizes: build_transformers(sizes, "Wav2Vec2"),
)
CASES = [(name, sizes) for name in REFERENCES for sizes in (BASE, LARGE)]
CASES += [("torchaudio", sizes | RELATIVE) for sizes in (BASE, LARGE)]
CASES += [("transformers_wavlm", sizes | RELATIVE) for sizes in (BASE, LARGE)]
CASES += [("transformers_unispeech", LARGE), ("transformers_unispeech_sat", BASE), ("transformers_data2vec", DATA2VEC)]
CASES += [("transformers_sew", SEW), ("transformers_sew", SEW_WITHOUT_PROJECTION)]
REFERENCES |= dict(
    transformers_wavlm=lambda sizes: build_transformers(sizes, "WavLM"),
    transformers_unispeech=lambda sizes: build_transformers(sizes, "UniSpeech"),
    transformers_unispeech_sat=lambda sizes: build_transformers(sizes, "UniSpeechSat"),
    transformers_data2vec=lambda sizes: build_transformers(sizes, "Data2VecAudio"),
    transformers_sew=lambda sizes: build_transformers(sizes, "SEW"),
)


def convert_and_load(folder, model, sizes):
    """Save the converted tensors of a reference model in `folder`, and return the encoder."""
    save_tensors(folder / "model.safetensors", convert(model.state_dict(), sizes)[0])
    save_config(folder / "config.json", dict(architecture="wav2vec2", **sizes))
    return encoders.load(folder)


def features_of_padded_batch(encoder, waveforms, layer):
    """Return the features as a GPU computes them: shorter waveforms are padded."""
    frames = [encoder.model.front_end(torch.from_numpy(waveform)) for waveform in waveforms]
    return [state[: len(f)].numpy() for state, f in zip(encoder.model.hidden_state(frames, layer), frames)]


def margins(frames, centroids):
    """Return how much nearer the nearest centroid of each frame is than the second nearest, relative to the largest distance."""
    distances = np.sort(((frames[:, None].astype(np.float64) - centroids) ** 2).sum(2), axis=1)
    return (distances[:, 1] - distances[:, 0]) / distances.max()


def max_difference(found, expected):
    """Return the largest difference, relative to the largest value."""
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sizes"), CASES, ids=lambda case: case if isinstance(case, str) else "large" if case["pre_norm"] else "base"
)
def test_every_layer_is_that_of_the_reference_alone_and_in_a_batch(name, sizes, tmp_path):
    model, reference_states = REFERENCES[name](sizes)
    encoder = convert_and_load(tmp_path, model, sizes)
    waveforms = [waveform for waveform in WAVEFORMS if len(waveform) >= encoder.model.config.min_samples]
    batches = [features_of_padded_batch(encoder, waveforms, layer) for layer in range(1, sizes["num_layers"] + 1)]
    for i, waveform in enumerate(waveforms):
        x = torch.from_numpy(waveform)[None]
        if sizes["normalize_waveform"]:
            x = F.layer_norm(x, x.shape)
        with torch.no_grad():
            expected_states = [state[0].numpy() for state in reference_states(x)]
        for layer, expected in enumerate(expected_states, 1):
            alone = encoder.features([waveform], layer)[0]
            in_batch = batches[layer - 1][i]
            assert alone.shape == in_batch.shape == expected.shape
            assert expected.std() > 0.1
            assert max_difference(alone, expected) <= 1e-5
            assert max_difference(in_batch, expected) <= 1e-5


@pytest.mark.slow
def test_a_model_of_published_width_computes_the_same(tmp_path):
    sizes = HUBERT_BASE | dict(num_layers=2)
    model, reference_states = build_torchaudio(sizes)
    encoder = convert_and_load(tmp_path, model, sizes)
    with torch.no_grad():
        expected = reference_states(torch.from_numpy(NOISE[None, :20_000]))[1][0].numpy()
    assert max_difference(encoder.features([NOISE[:20_000]], 2)[0], expected) <= 1e-5
    assert (encoder.sample_rate, encoder.hop_length, encoder.dim, encoder.num_layers) == (16_000, 320, 768, 2)


@pytest.fixture(params=[BASE, LARGE, BASE | RELATIVE], ids=["base", "large", "relative"])
def encoder(request, tmp_path):
    model, _ = build_torchaudio(request.param)
    return convert_and_load(tmp_path, model, request.param)


@pytest.mark.slow
@pytest.mark.parametrize("layer", [0, 1, 3])
def test_units_are_the_same_alone_and_in_batches_of_mixed_lengths(encoder, layer):
    rng = np.random.default_rng(1)
    waveforms = [rng.standard_normal(n).astype(np.float32) for n in rng.integers(30, 4000, 30)]
    alone = [encoder.features([waveform], layer)[0] for waveform in waveforms]
    centroids = np.concatenate(alone)[rng.choice(sum(map(len, alone)), 50, replace=False)]
    units = [nearest_centroids(features, centroids) for features in alone]
    for features, expected, expected_units in zip(encoder.features(waveforms, layer), alone, units):
        assert features.dtype == np.float32
        assert np.array_equal(features, expected)
        assert np.array_equal(nearest_centroids(features, centroids), expected_units)
    for features, expected, expected_units in zip(features_of_padded_batch(encoder, waveforms, layer), alone, units):
        is_clear = margins(expected, centroids) > 1e-5  # one frame in thousands is as near to two centroids, up to rounding
        assert max_difference(features, expected) <= 1e-5
        assert np.array_equal(nearest_centroids(features, centroids)[is_clear], expected_units[is_clear])
    assert len(np.unique(np.concatenate(units))) == 50


def test_layer_0_is_the_input_of_the_first_block(encoder):
    (features,) = encoder.features(WAVEFORMS[:1], 0)
    positions = encoder.model.positions(len(features)) if encoder.model.positions else None
    expected = encoder.model.blocks[0](torch.from_numpy(features)[None], None, positions)[0]
    np.testing.assert_allclose(encoder.features(WAVEFORMS[:1], 1)[0], expected, atol=1e-5)


@pytest.mark.slow
def test_the_convolutions_compute_the_same_in_chunks(encoder, monkeypatch):
    expected = encoder.features(WAVEFORMS, 0)
    for num_frames in (1, 7):
        monkeypatch.setattr(frame_transformer, "CPU_FRAMES", num_frames)
        assert all(max_difference(a, b) <= 1e-6 for a, b in zip(encoder.features(WAVEFORMS, 0), expected))


def test_chunks_change_nothing_if_the_model_sees_less_than_their_overlap(encoder, monkeypatch):
    """Attention is switched off, so that only the positional convolution sees other frames."""
    for block in encoder.model.blocks:
        block.out = torch.nn.Module()
        block.out.forward = torch.zeros_like
    expected = encoder.features(WAVEFORMS, 3)
    monkeypatch.setattr(chunks, "MAX_FRAMES", 40)
    monkeypatch.setattr(chunks, "OVERLAP_FRAMES", 8)
    assert all(max_difference(a, b) <= 1e-5 for a, b in zip(encoder.features(WAVEFORMS, 3), expected))


def test_a_waveform_shorter_than_a_frame_is_refused(encoder):
    message = "a waveform must be at least one frame long; expected at least 30 samples, got 29; drop the utterance"
    with pytest.raises(ValueError, match=message):
        encoder.features([WAVEFORMS[0], NOISE[:29]], 1)


# frames with positions: data2vec and SEW


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [DATA2VEC, SEW], ids=["data2vec", "sew"])
def test_frames_with_positions_do_not_depend_on_chunks_and_batches(sizes, tmp_path, monkeypatch):
    name = "SEW" if sizes.get("squeeze") else "Data2VecAudio"
    encoder = convert_and_load(tmp_path, build_transformers(sizes, name)[0], sizes)
    rng = np.random.default_rng(1)
    waveforms = [rng.standard_normal(n).astype(np.float32) for n in rng.integers(50, 2000, 12)]
    alone = [encoder.features([waveform], 2)[0] for waveform in waveforms]
    centroids = np.concatenate(alone)[::7]
    for features, in_batch, expected in zip(
        encoder.features(waveforms, 2), features_of_padded_batch(encoder, waveforms, 2), alone
    ):
        assert np.array_equal(features, expected)
        assert max_difference(in_batch, expected) <= 1e-5
        assert np.array_equal(nearest_centroids(in_batch, centroids), nearest_centroids(expected, centroids))
    for num_frames in (1, 7):
        monkeypatch.setattr(frame_transformer, "CPU_FRAMES", num_frames)
        assert all(max_difference(a, b) <= 1e-5 for a, b in zip(encoder.features(waveforms, 2), alone))


def test_sew_averages_the_frames_of_a_step(tmp_path):
    encoder = convert_and_load(tmp_path, build_transformers(SEW, "SEW")[0], SEW)
    assert (encoder.hop_length, encoder.model.config.min_samples) == (40, 50)
    with pytest.raises(ValueError, match="expected at least 50 samples, got 49"):
        encoder.features([NOISE[:49]], 1)
    assert [len(encoder.features([NOISE[:n]], 1)[0]) for n in (50, 89, 90, 109, 130)] == [1, 1, 2, 2, 3]
