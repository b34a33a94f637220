"""Prompts in an encoder: the published count, frames that stay where they are, gradients of rows that can differ."""

import numpy as np
import pytest
import torch
from torch import nn

from speech2unit.encoders import load_trunk
from speech2unit.encoders.architectures.melhubert import MelHuBERTTrunk
from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from superb.hidden_states import EncoderTuning, batch_hidden_states, plain_hidden_states
from superb.prompts import DeepPrompt, InputPrompt, average_inputs

LENGTH = 3
NORMAL = dict(initialization="normal", init_scale=0.5)
KINDS = (InputPrompt, DeepPrompt)


@pytest.fixture
def trunk(folder):
    return load_trunk(folder).requires_grad_(False)


@pytest.fixture(params=KINDS)
def prompts(request, trunk):
    torch.manual_seed(1)
    return request.param(trunk, length=LENGTH, **NORMAL)


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_a_prefix_of_10_in_an_encoder_of_12_layers_of_768_trains_99_840_parameters():
    with torch.device("meta"):
        trunk = MelHuBERTTrunk(MelHuBERTModel(MelHuBERTConfig(12, 768, 3072, 12, 128, 16, (512,))), None)
        assert count(DeepPrompt(trunk, length=10, **NORMAL)) == 99_840
        assert count(InputPrompt(trunk, length=10, **NORMAL)) == 7_680


@pytest.mark.parametrize("kind", KINDS)
def test_without_length_the_states_are_the_plain_encoders(trunk, waveforms, kind):
    plain, lengths = batch_hidden_states(trunk, EncoderTuning(), waveforms)
    found, same = batch_hidden_states(trunk, kind(trunk, length=0, **NORMAL), waveforms)
    assert torch.equal(found, plain) and torch.equal(same, lengths)


def test_the_head_sees_exactly_the_frames(trunk, prompts, waveforms):
    plain, lengths = batch_hidden_states(trunk, EncoderTuning(), waveforms)
    found, same = batch_hidden_states(trunk, prompts, waveforms)
    assert found.shape == plain.shape and torch.equal(same, lengths)
    assert (found - plain).abs().amax((1, 3))[-1, 0] > 1e-3  # the prompts act


def frame_by_frame(trunk):
    """The trunk without what mixes frames: neither positions nor attention."""
    with torch.no_grad():
        for name, parameter in trunk.named_parameters():
            if any(part in name for part in ("pos_conv", ".out.", ".out_proj.")) and not name.endswith("original1"):
                parameter.zero_()  # of a normalised weight its length alone
    return trunk


def test_frame_t_of_the_head_is_frame_t_of_the_encoder(trunk, prompts, waveforms):
    frame_by_frame(trunk)
    plain, lengths = batch_hidden_states(trunk, EncoderTuning(), waveforms)
    found, _ = batch_hidden_states(trunk, prompts, waveforms)
    real = torch.arange(plain.shape[2]) < lengths[:, None]
    torch.testing.assert_close(found[:, real], plain[:, real], atol=1e-5, rtol=0)
    assert (plain[:, :, 1:] - plain[:, :, :-1]).abs().amax((1, 3)).min() > 1e-2  # neighbours differ: a shift would be seen


class Kept(EncoderTuning):
    """Prompts whose positions stay in the outputs."""

    def __init__(self, prompts):
        super().__init__()
        self.prepend, self.replace_input = prompts.prepend, prompts.replace_input


def test_the_ancestors_slice_hands_over_the_prompts_and_loses_the_last_frames(trunk, prompts, waveforms):
    """It takes the first T positions of all."""
    frame_by_frame(trunk)
    plain, lengths = batch_hidden_states(trunk, EncoderTuning(), waveforms[:1])
    everything, _ = batch_hidden_states(trunk, Kept(prompts), waveforms[:1])
    sliced = everything[:, :, : int(lengths)]
    assert (sliced - plain).abs().amax() > 1e-2
    torch.testing.assert_close(sliced[:, :, LENGTH:], plain[:, :, :-LENGTH], atol=1e-5, rtol=0)


def test_padding_changes_no_frame(trunk, prompts, waveforms):
    together, lengths = batch_hidden_states(trunk, prompts, waveforms)
    for i, waveform in enumerate(waveforms):
        alone, _ = batch_hidden_states(trunk, prompts, [waveform])
        torch.testing.assert_close(together[:, i, : lengths[i]], alone[:, 0], atol=1e-4, rtol=0)


def row_gradients(prompts, trunk, waveforms):
    """Gradient of each vector of the prompts `[layers, length, D]`."""
    states, _ = batch_hidden_states(trunk, prompts, waveforms)
    weights = torch.randn(states.shape, generator=torch.Generator().manual_seed(2))
    (states * weights).sum().backward()
    return prompts.blocks.grad


@pytest.mark.parametrize("initialization", ["normal", "mean"])
def test_rows_that_start_at_random_receive_different_gradients(trunk, waveforms, initialization):
    torch.manual_seed(1)
    prompts = DeepPrompt(trunk, length=LENGTH, initialization=initialization, init_scale=0.5)
    prompts.initialize(trunk, waveforms)
    gradients = row_gradients(prompts, trunk, waveforms)
    for block in gradients:
        distances = torch.cdist(block, block)[~torch.eye(LENGTH, dtype=torch.bool)]
        assert distances.min() > 1e-3 * block.norm(dim=-1).max() > 0


def test_rows_of_the_ancestors_ones_receive_the_same_gradient(trunk, waveforms):
    prompts = DeepPrompt(trunk, length=LENGTH, initialization="ones", init_scale=0.0)
    assert torch.equal(prompts.input, torch.ones(LENGTH, trunk.dim)) and torch.equal(
        prompts.blocks, torch.ones_like(prompts.blocks)
    )
    for block in row_gradients(prompts, trunk, waveforms):
        assert torch.cdist(block, block).max() < 1e-4 * block.norm(dim=-1).max() and block.abs().max() > 0


def test_mean_starts_around_the_means_of_what_enters_the_encoder_and_each_block(trunk, waveforms):
    of_input, of_blocks = average_inputs(trunk, waveforms)
    frames = torch.cat([trunk.frames(waveform) for waveform in waveforms])
    torch.testing.assert_close(of_input, frames.mean(0), atol=1e-5, rtol=0)
    states = np.concatenate(plain_hidden_states(trunk, waveforms), 1)
    torch.testing.assert_close(of_blocks, torch.from_numpy(states[:-1].mean(1)), atol=1e-4, rtol=0)
    prompts = DeepPrompt(trunk, length=400, initialization="mean", init_scale=0.1)
    prompts.initialize(trunk, waveforms)
    torch.testing.assert_close(prompts.input.mean(0), of_input, atol=0.05, rtol=0)
    torch.testing.assert_close(prompts.blocks.mean(1), of_blocks, atol=0.05, rtol=0)
    assert 0.09 < float((prompts.blocks.detach() - of_blocks[:, None]).std()) < 0.11


def test_normal_does_not_move_at_the_start(trunk, waveforms):
    prompts = DeepPrompt(trunk, length=200, **NORMAL)
    before = [p.clone() for p in prompts.parameters()]
    prompts.initialize(trunk, waveforms)
    assert all(torch.equal(a, b) for a, b in zip(before, prompts.parameters()))
    assert 0.45 < float(prompts.blocks.detach().std()) < 0.55


def test_an_unknown_initialization_is_refused():
    with pytest.raises(ValueError, match="'initialization' must be known; expected one of .* got 'zeros'"):
        InputPrompt(nn.Identity(), length=1, initialization="zeros", init_scale=1.0)


@pytest.mark.parametrize("layer", range(3))
def test_hidden_states_are_the_encoders_features(folder, trunk, waveforms, layer):
    from speech2unit import encoders

    for found, wanted in zip(
        plain_hidden_states(trunk, waveforms), encoders.load(folder).features([w.numpy() for w in waveforms], layer)
    ):
        np.testing.assert_allclose(found[layer], wanted, atol=1e-4)
