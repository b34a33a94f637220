"""Names of OpenAI's files and of transformers, with a report; refused checkpoints; sizes from transformers' config.json."""

import pytest
import torch

from speech2unit.encoders.models.whisper_names import convert, sizes_from_transformers
from tests.random_models import with_random_weights

SIZES = dict(num_mels=80, num_positions=600, num_layers=12, dim=32, ffn_dim=48, num_heads=4, padded=False, final_norm=True)
CONFIG = dict(
    encoder_layers=12,
    decoder_layers=1,
    d_model=32,
    encoder_ffn_dim=48,
    decoder_ffn_dim=16,
    encoder_attention_heads=4,
    decoder_attention_heads=2,
    max_source_positions=600,
    vocab_size=10,
    pad_token_id=0,
)
OPENAI_NAMES = (  # part of a name of transformers, part of the name in OpenAI's files
    ("model.", ""),
    ("layers.", "blocks."),
    ("embed_positions.weight", "positional_embedding"),
    ("self_attn_layer_norm", "attn_ln"),
    ("final_layer_norm", "mlp_ln"),
    ("layer_norm", "ln_post"),
    ("self_attn.q_proj", "attn.query"),
    ("self_attn.k_proj", "attn.key"),
    ("self_attn.v_proj", "attn.value"),
    ("self_attn.out_proj", "attn.out"),
    ("fc1", "mlp.0"),
    ("fc2", "mlp.2"),
)


@pytest.fixture(scope="module")
def config():
    """transformers' configuration of the encoder with our `SIZES`."""
    from transformers import WhisperConfig

    return WhisperConfig(**CONFIG)


@pytest.fixture(scope="module")
def tensors(config):
    """Tensors with the names of transformers, those of the decoder included."""
    from transformers import WhisperForConditionalGeneration

    return with_random_weights(WhisperForConditionalGeneration(config)).state_dict()


def in_openais_names(tensors):
    renamed = {}
    for name, tensor in tensors.items():
        if not name.startswith("proj_out."):
            for part, replacement in OPENAI_NAMES:
                name = name.replace(part, replacement)
            renamed[name] = tensor
    return renamed


def test_the_report_names_the_source_of_each_of_our_tensors(tensors):
    ours, rows = convert(tensors, SIZES)
    assert [row["source"] for row in rows] == list(tensors) and {row["name"] for row in rows} == {"", *ours}
    by_source = {row["source"]: row for row in rows}
    key = "model.encoder.layers.11.self_attn.k_proj.weight"
    assert by_source[key] == dict(source=key, name="blocks.11.qkv.weight", shape=[32, 32], dtype="float32")
    assert torch.equal(ours["blocks.11.qkv.weight"][32:64], tensors[key])
    assert not ours["blocks.11.qkv.bias"][32:64].any() and ours["blocks.11.qkv.bias"][64:].all()
    left_out = {row["source"] for row in rows if not row["name"]}
    assert left_out == {name for name in tensors if name.startswith(("model.decoder.", "proj_out."))}


@pytest.mark.parametrize("final_norm", [True, False])
def test_the_final_norm_is_left_out_unless_it_is_asked_for(tensors, final_norm):
    ours, rows = convert(tensors, SIZES | dict(final_norm=final_norm))
    names = {row["source"]: row["name"] for row in rows}
    assert ("final_norm.weight" in ours) == final_norm
    assert names["model.encoder.layer_norm.bias"] == ("final_norm.bias" if final_norm else "")


def test_openais_files_give_the_same_tensors(tensors):
    published = {name: tensor.half() for name, tensor in in_openais_names(tensors).items()}
    assert {"encoder.positional_embedding", "encoder.blocks.3.attn.key.weight", "encoder.ln_post.bias"} <= published.keys()
    ours, rows = convert(published, SIZES)
    expected, _ = convert(tensors, SIZES)
    assert ours.keys() == expected.keys() and {row["dtype"] for row in rows} == {"float16"}
    assert all(torch.equal(ours[name], tensor.half().float()) for name, tensor in expected.items())


@pytest.mark.parametrize("prefix", ["encoder.", ""])
def test_other_prefixes_of_transformers_give_the_same_tensors(tensors, prefix):
    name_of = {name: name.removeprefix("model.encoder.") for name in tensors if name.startswith("model.encoder.")}
    ours, _ = convert({prefix + short: tensors[name] for name, short in name_of.items()}, SIZES)
    expected, _ = convert(tensors, SIZES)
    assert ours.keys() == expected.keys() and all(torch.equal(ours[name], tensor) for name, tensor in expected.items())


def test_missing_unknown_and_misshapen_tensors_are_named(tensors):
    tensors = dict(tensors)
    tensors["model.encoder.layers.3.adapter.weight"] = tensors.pop("model.encoder.layers.3.self_attn.q_proj.bias")
    tensors["model.encoder.conv2.weight"] = torch.zeros(32, 32, 4)
    with pytest.raises(ValueError, match="whisper checkpoint: its tensors must be those of the architecture") as caught:
        convert(tensors, SIZES)
    for name in ("blocks.3.qkv.bias:q", "model.encoder.layers.3.adapter.weight", "front_end.convs.1.weight"):
        assert name in str(caught.value)


def test_sizes_are_read_from_config_json(config):
    assert sizes_from_transformers(config.to_dict()) == SIZES | dict(final_norm=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(model_type="hubert"), "'model_type' must be .*; expected whisper, got 'hubert'"),
        (dict(activation_function="relu"), "'activation_function' must be .*; expected gelu, got 'relu'"),
        (dict(num_mel_bins=-1), "'num_mel_bins'"),
        (dict(d_model="__import__('os')"), "'d_model' must be .*; expected a positive number"),
        (dict(encoder_layers=None), "'encoder_layers'"),
    ],
)
def test_another_kind_of_model_or_value_is_refused(config, change, message):
    with pytest.raises(ValueError, match=message):
        sizes_from_transformers(config.to_dict() | change)


def test_a_config_that_is_not_a_dictionary_is_refused():
    with pytest.raises(ValueError, match="'model_type'"):
        sizes_from_transformers([1])
