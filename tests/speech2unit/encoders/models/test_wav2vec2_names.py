"""Published tensors under our names, with a report; refused checkpoints; sizes from transformers' config.json."""

import pytest
import torch
import torchaudio

from speech2unit.encoders.models.wav2vec2 import Wav2Vec2Config
from speech2unit.encoders.models.wav2vec2_names import (
    _our_name,
    convert,
    sizes_from_preprocessor,
    sizes_from_transformers,
)

SIZES = dict(
    conv_layers=[[8, 10, 5], [8, 3, 2]],
    conv_bias=False,
    conv_norm="group",
    normalize_waveform=False,
    pre_norm=False,
    num_layers=12,
    dim=16,
    ffn_dim=24,
    num_heads=2,
    pos_conv_kernel=8,
    pos_conv_groups=4,
    num_buckets=0,
    max_distance=0,
)
CONFIG = dict(  # the same sizes in transformers' config.json
    model_type="hubert",
    hidden_size=16,
    num_hidden_layers=12,
    num_attention_heads=2,
    intermediate_size=24,
    hidden_act="gelu",
    feat_extract_norm="group",
    feat_extract_activation="gelu",
    conv_dim=[8, 8],
    conv_kernel=[10, 3],
    conv_stride=[5, 2],
    conv_bias=False,
    num_conv_pos_embeddings=8,
    num_conv_pos_embedding_groups=4,
    do_stable_layer_norm=False,
    layer_norm_eps=1e-5,
    architectures=["HubertModel"],
    mask_time_prob=0.05,
)


@pytest.fixture
def tensors():
    """Tensors with the names of torchaudio."""
    torch.manual_seed(0)
    model = torchaudio.models.wav2vec2_model(
        "group_norm", SIZES["conv_layers"], False, 16, 0, 8, 4, 12, 2, 0, 24, 0, 0, False, 0, aux_num_out=5
    )
    return dict(model.state_dict())


def test_the_report_names_the_source_of_each_of_our_tensors(tensors):
    ours, rows = convert(tensors, SIZES)
    assert [row["source"] for row in rows] == list(tensors) and {row["name"] for row in rows} == {"", *ours}
    by_source = {row["source"]: row for row in rows}
    key = "encoder.transformer.layers.11.attention.k_proj.weight"
    assert by_source[key] == dict(source=key, name="blocks.11.qkv.weight", shape=[16, 16], dtype="float32")
    assert torch.equal(ours["blocks.11.qkv.weight"][16:32], tensors[key])
    assert {row["source"] for row in rows if not row["name"]} == {"aux.weight", "aux.bias"}


def test_convolutions_are_time_first_and_the_weight_norm_is_folded(tensors):
    ours, _ = convert(tensors, SIZES)
    conv = tensors["feature_extractor.conv_layers.1.conv.weight"]
    assert torch.equal(ours["front_end.convs.1.weight"][3, 8:16], conv[3, :, 1])
    length, direction = (tensors[f"encoder.transformer.pos_conv_embed.conv.parametrizations.weight.original{i}"] for i in (0, 1))
    torch.testing.assert_close(ours["pos_conv.weight"], torch._weight_norm(direction, length, 2))


@pytest.mark.parametrize("prefix", ["", "hubert.", "wav2vec2."])
def test_names_of_transformers_old_and_new_with_and_without_prefix(tensors, prefix):
    published = {}
    for name, tensor in tensors.items():
        name = name.replace("encoder.transformer.", "encoder.").replace("encoder.feature_projection", "feature_projection")
        if prefix:
            name = name.replace("parametrizations.weight.original0", "weight_g").replace(
                "parametrizations.weight.original1", "weight_v"
            )
        published["lm_head.weight" if name.startswith("aux") else prefix + name] = tensor.half()
    published[prefix + "masked_spec_embed"] = torch.zeros(16)
    ours, rows = convert(published, SIZES)
    expected, _ = convert({name: tensor.half() for name, tensor in tensors.items()}, SIZES)
    assert all(torch.equal(ours[name], expected[name]) and ours[name].dtype == torch.float32 for name in expected)
    assert rows[0]["dtype"] == "float16"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("encoder.layers.0.self_attn.relative_attention_bias.weight", "positions.weight"),
        ("encoder.layers.3.self_attn.grep_linear.bias", "blocks.3.gate.linear.bias"),
        ("encoder.layers.3.self_attn.grep_a", "blocks.3.gate.scale"),
        ("w2v_encoder.w2v_model.encoder.layers.3.self_attn.out_proj.bias", "blocks.3.out.bias"),
        ("w2v_encoder.w2v_model.mask_emb", ""),
    ],
)
def test_names_of_wavlms_own_files_and_of_fairseqs_recognisers(source, name):
    assert _our_name(source, Wav2Vec2Config(**SIZES)) == name


def test_missing_unknown_and_misshapen_tensors_are_listed(tensors):
    tensors["encoder.transformer.layers.3.adapter.weight"] = tensors.pop("encoder.transformer.layers.3.attention.q_proj.bias")
    tensors["encoder.transformer.layers.2.final_layer_norm.bias"] = torch.zeros(17)
    with pytest.raises(ValueError) as caught:
        convert(tensors, SIZES)
    assert "missing blocks.3.qkv.bias:q" in str(caught.value)
    assert "unexpected encoder.transformer.layers.3.adapter.weight" in str(caught.value)
    assert "misshapen blocks.2.ffn_norm.bias (17,), not (16,)" in str(caught.value)


def test_long_lists_are_shortened(tensors):
    with pytest.raises(ValueError, match=r"unexpected (\S+, ){7}\S+ and 8 more; correct its sizes"):
        convert(tensors, SIZES | dict(num_layers=11))


def test_the_same_tensor_twice_is_refused(tensors):
    tensors["layer_norm.weight"] = torch.zeros(8)
    with pytest.raises(ValueError, match="unexpected encoder.feature_projection.layer_norm.weight, layer_norm.weight"):
        convert(tensors, SIZES)


def test_the_norm_after_the_last_block_of_a_pre_norm_model_is_left_out(tensors):
    _, rows = convert(tensors, SIZES | dict(pre_norm=True))
    assert {row["source"] for row in rows if not row["name"]} >= {"encoder.transformer.layer_norm.weight"}


def test_sizes_are_read_from_config_json():
    assert sizes_from_transformers(CONFIG) == SIZES
    wavlm = CONFIG | dict(
        model_type="wavlm", num_buckets=320, max_bucket_distance=800, feat_extract_norm="layer", do_stable_layer_norm=True
    )
    expected = SIZES | dict(num_buckets=320, max_distance=800, conv_norm="layer", pre_norm=True, normalize_waveform=True)
    assert sizes_from_transformers(wavlm) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            dict(model_type="sew-d"),
            "'model_type' must be .*; expected one of hubert, wav2vec2, wavlm, unispeech, .*, got 'sew-d'",
        ),
        (dict(hidden_act="relu"), "'hidden_act' must be .*; expected gelu, got 'relu'"),
        (dict(layer_norm_eps=1e-12), "'layer_norm_eps' must be .*; expected 1e-05, got 1e-12"),
        (dict(conv_pos_batch_norm=True), "'conv_pos_batch_norm'"),
        (dict(adapter_attn_dim=16), "'adapter_attn_dim'"),
        (dict(conv_dim="__import__('os')"), "'conv_dim' must be .*; expected a list of positive numbers, got \"__import__"),
        (dict(conv_dim=[8]), "lists of the same length"),
        (dict(conv_stride=[5, True]), "'conv_stride'"),
        (dict(hidden_size=-16), "'hidden_size'"),
        (dict(hidden_size=10**9), "'hidden_size'"),
        (dict(conv_bias=1), "'conv_bias'"),
        (dict(num_hidden_layers=None), "'num_hidden_layers'"),
    ],
)
def test_another_kind_of_model_or_value_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        sizes_from_transformers(CONFIG | change)


def test_a_config_that_is_not_a_dictionary_is_refused():
    with pytest.raises(ValueError, match="'model_type'"):
        sizes_from_transformers([1])


def test_the_preprocessor_says_whether_waveforms_are_normalized():
    for do_normalize in (True, False):
        preprocessor = dict(feature_extractor_type="Wav2Vec2FeatureExtractor", sampling_rate=16_000, do_normalize=do_normalize)
        assert sizes_from_preprocessor(preprocessor) == dict(normalize_waveform=do_normalize)


@pytest.mark.parametrize(
    ("preprocessor", "message"),
    [
        (dict(sampling_rate=8_000, do_normalize=True), "'sampling_rate' must be .*; expected 16000, got 8000"),
        (dict(sampling_rate=16_000, do_normalize=1), "'do_normalize' must be .*; expected true or false, got 1"),
        ([], "'sampling_rate'"),
    ],
)
def test_another_preprocessor_is_refused(preprocessor, message):
    with pytest.raises(ValueError, match=message):
        sizes_from_preprocessor(preprocessor)
