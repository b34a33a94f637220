"""The unit LM: causal, independent of padding, and equal to fairseq's `transformer_lm`."""

import json
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from ulm.model import UnitLM, UnitLMConfig, causal_mask, load, num_parameters, sinusoids
from ulm.vocabulary import PAD

PUBLISHED = UnitLMConfig(vocabulary_size=104, num_layers=12, dim=1024, ffn_dim=4096, num_heads=16)


def tokens(*shape):
    return torch.randint(4, 24, shape, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("place", [0, 4, 8])
def test_a_token_changes_no_logits_before_it(lm, place):
    before = tokens(3, 9)
    after = before.clone()
    after[:, place] = 4 + (after[:, place] - 3) % 20
    old, new = lm(before), lm(after)
    assert torch.equal(old[:, :place], new[:, :place])
    assert ((old - new).abs().amax(-1)[:, place:] > 1e-4).all()


@pytest.mark.parametrize("padding", [1, 30])
def test_padding_on_the_right_changes_nothing(lm, padding):
    rows = tokens(2, 7)
    padded = torch.cat([rows, rows.new_full((2, padding), PAD)], 1)
    torch.testing.assert_close(lm(padded)[:, :7], lm(rows), atol=1e-5, rtol=0)


def test_past_key_values_replace_the_tokens_they_come_from(lm):
    rows = tokens(2, 9)
    _, past_key_values = lm.hidden(lm.embed(rows[:, :5]))
    late, longer = lm.hidden(lm.embed(rows[:, 5:], 5), past_key_values)
    torch.testing.assert_close(lm.logits(late), lm(rows)[:, 5:], atol=1e-5, rtol=0)
    assert [keys.shape for keys, _ in longer] == [(2, 4, 9, 4)] * 2


def test_the_separator_is_replaced_only_at_the_input(lm):
    rows = tokens(1, 6)
    rows[0, 3] = 0
    vector = torch.randn(16, generator=torch.Generator().manual_seed(1))
    replaced = lm(rows, separator=(0, vector))
    changed = UnitLM(lm.config).eval()
    changed.load_state_dict(lm.state_dict())
    changed.embed_tokens.weight.data[0] = vector
    torch.testing.assert_close(replaced, lm.logits(changed.hidden(changed.embed(rows))[0]))
    assert torch.equal(replaced[:, :3], lm(rows)[:, :3])


def test_the_causal_mask_allows_the_past_and_the_token_itself():
    assert causal_mask(3, 2, "cpu")[0, 0].int().tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]


def test_the_published_sizes_have_the_published_number_of_parameters():
    with torch.device("meta"):
        assert num_parameters(UnitLM(PUBLISHED)) == 151_263_232


def test_load_gives_the_same_frozen_model(lm, tmp_path):
    save_file(lm.state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(lm.config.to_dict() | dict(num_parameters=1, provenance={})))
    loaded, rows = load(tmp_path / "model.safetensors", tmp_path / "config.json"), tokens(2, 5)
    assert torch.equal(loaded(rows), lm(rows)) and not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())


@pytest.fixture(scope="module")
def peer():
    """A tiny model of fairseq with pre-LayerNorm, ReLU, tied embeddings, sinusoidal positions and random weights."""
    from fairseq.data import Dictionary
    from fairseq.models.transformer_lm import TransformerLanguageModel, TransformerLanguageModelConfig

    words = Dictionary()
    for unit in range(20):
        words.add_symbol(str(unit))
    config = TransformerLanguageModelConfig(
        decoder_embed_dim=16, decoder_input_dim=16, decoder_output_dim=16, decoder_ffn_embed_dim=32, decoder_layers=2,
        decoder_attention_heads=4, decoder_normalize_before=True, share_decoder_input_output_embed=True, dropout=0.0,
        attention_dropout=0.0, activation_dropout=0.0, tokens_per_sample=64, max_target_positions=64,
    )  # fmt: skip
    torch.manual_seed(3)
    model = TransformerLanguageModel.build_model(config, SimpleNamespace(source_dictionary=words, target_dictionary=words))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def test_logits_equal_fairseqs(peer):
    ours = UnitLM(UnitLMConfig(vocabulary_size=24, num_layers=2, dim=16, ffn_dim=32, num_heads=4)).eval()
    theirs = {name.removeprefix("decoder."): tensor for name, tensor in peer.state_dict().items()}
    result = ours.load_state_dict(theirs, strict=False)
    assert not result.missing_keys
    assert set(result.unexpected_keys) <= {"embed_positions._float_tensor", "output_projection.weight", "version"}
    rows = tokens(3, 40)
    rows[0, 30:], rows[1, 12] = PAD, 0
    with torch.no_grad():
        difference = (ours(rows) - peer(rows)[0]).abs()
    assert difference[rows != PAD].max() <= 1e-4


def test_sinusoids_equal_fairseqs(peer):
    table = peer.decoder.embed_positions
    expected = table(torch.full((1, 50), 5))[0]  # tokens other than padding: positions from padding_idx + 1
    torch.testing.assert_close(sinusoids(torch.arange(50), 16), expected, atol=1e-6, rtol=0)
