"""Prompts in an encoder: the published number of parameters, frames at their positions, gradients that differ."""

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


def num_parameters(module):
    return sum(p.numel() for p in module.parameters())


def test_prompts_of_length_10_have_the_published_number_of_parameters():
    with torch.device("meta"):
        trunk = MelHuBERTTrunk(MelHuBERTModel(MelHuBERTConfig(12, 768, 3072, 12, 128, 16, (512,))), None)
        assert num_parameters(DeepPrompt(trunk, length=10, **NORMAL)) == 99_840
        assert num_parameters(InputPrompt(trunk, length=10, **NORMAL)) == 7_680


@pytest.mark.parametrize("kind", KINDS)
def test_a_prompt_of_length_0_leaves_the_states_of_the_plain_encoder(trunk, waveforms, kind):
    plain, lengths = batch_hidden_states(trunk, EncoderTuning(), waveforms)
    states, state_lengths = batch_hidden_states(trunk, kind(trunk, length=0, **NORMAL), waveforms)
    assert torch.equal(states, plain) and torch.equal(state_lengths, lengths)


def test_the_head_sees_exactly_the_frames(trunk, prompts, waveforms):
    plain, lengths = batch_hidden_states(trunk, EncoderTuning(), waveforms)
    prompted, prompted_lengths = batch_hidden_states(trunk, prompts, waveforms)
    assert prompted.shape == plain.shape and torch.equal(prompted_lengths, lengths)
    assert (prompted - plain).abs().amax((1, 3))[-1, 0] > 1e-3  # the prompts act


def without_mixing(trunk):
    """Return the trunk with zeros in everything that mixes frames: positional convolution and attention."""
    with torch.no_grad():
        for name, parameter in trunk.named_parameters():
            if any(part in name for part in ("pos_conv", ".out.", ".out_proj.")) and not name.endswith("original1"):
                parameter.zero_()  # of a normalised weight, only its length
    return trunk


def test_frame_t_of_the_head_is_frame_t_of_the_encoder(trunk, prompts, waveforms):
    without_mixing(trunk)
    plain, lengths = batch_hidden_states(trunk, EncoderTuning(), waveforms)
    prompted, _ = batch_hidden_states(trunk, prompts, waveforms)
    valid_mask = torch.arange(plain.shape[2]) < lengths[:, None]
    torch.testing.assert_close(prompted[:, valid_mask], plain[:, valid_mask], atol=1e-5, rtol=0)
    assert (plain[:, :, 1:] - plain[:, :, :-1]).abs().amax(
        (1, 3)
    ).min() > 1e-2  # neighbouring frames differ, so a shift would show


class PromptsInOutputs(EncoderTuning):
    """Prompts whose positions stay in the outputs: its `length` is 0."""

    def __init__(self, prompts):
        super().__init__()
        self.prepend, self.replace_input = prompts.prepend, prompts.replace_input


def test_the_slice_of_the_papers_code_keeps_prompts_and_loses_frames(trunk, prompts, waveforms):
    """It takes the first T positions of the outputs."""
    without_mixing(trunk)
    plain, lengths = batch_hidden_states(trunk, EncoderTuning(), waveforms[:1])
    everything, _ = batch_hidden_states(trunk, PromptsInOutputs(prompts), waveforms[:1])
    sliced = everything[:, :, : int(lengths)]
    assert (sliced - plain).abs().amax() > 1e-2
    torch.testing.assert_close(sliced[:, :, LENGTH:], plain[:, :, :-LENGTH], atol=1e-5, rtol=0)


def test_padding_changes_no_frame(trunk, prompts, waveforms):
    together, lengths = batch_hidden_states(trunk, prompts, waveforms)
    for i, waveform in enumerate(waveforms):
        alone, _ = batch_hidden_states(trunk, prompts, [waveform])
        torch.testing.assert_close(together[:, i, : lengths[i]], alone[:, 0], atol=1e-4, rtol=0)


def vector_gradients(prompts, trunk, waveforms):
    """Return the gradient of each vector of the blocks `[blocks, length, D]`."""
    states, _ = batch_hidden_states(trunk, prompts, waveforms)
    weights = torch.randn(states.shape, generator=torch.Generator().manual_seed(2))
    (states * weights).sum().backward()
    return prompts.blocks.grad


@pytest.mark.parametrize("initialization", ["normal", "mean"])
def test_random_vectors_receive_different_gradients(trunk, waveforms, initialization):
    torch.manual_seed(1)
    prompts = DeepPrompt(trunk, length=LENGTH, initialization=initialization, init_scale=0.5)
    prompts.initialize(trunk, waveforms)
    gradients = vector_gradients(prompts, trunk, waveforms)
    for block in gradients:
        distances = torch.cdist(block, block)[~torch.eye(LENGTH, dtype=torch.bool)]
        assert distances.min() > 1e-3 * block.norm(dim=-1).max() > 0


def test_vectors_of_ones_receive_the_same_gradient(trunk, waveforms):
    prompts = DeepPrompt(trunk, length=LENGTH, initialization="ones", init_scale=0.0)
    assert torch.equal(prompts.input, torch.ones(LENGTH, trunk.dim)) and torch.equal(
        prompts.blocks, torch.ones_like(prompts.blocks)
    )
    has_positions = hasattr(trunk.blocks[0], "distances")  # in a conformer, vectors at different distances from a frame differ
    for block in vector_gradients(prompts, trunk, waveforms):
        is_same = torch.cdist(block, block).max() < 1e-4 * block.norm(dim=-1).max()
        assert is_same != has_positions and block.abs().max() > 0


def test_mean_vectors_start_around_mean_inputs(trunk, waveforms):
    encoder_mean, block_means = average_inputs(trunk, waveforms)
    frames = torch.cat([trunk.windows(waveform)[0] for waveform in waveforms])
    torch.testing.assert_close(encoder_mean, frames.mean(0), atol=1e-5, rtol=0)
    states = np.concatenate(plain_hidden_states(trunk, waveforms), 1)
    torch.testing.assert_close(block_means, torch.from_numpy(states[:-1].mean(1)), atol=1e-4, rtol=0)
    prompts = DeepPrompt(trunk, length=400, initialization="mean", init_scale=0.1)
    prompts.initialize(trunk, waveforms)
    torch.testing.assert_close(prompts.input.mean(0), encoder_mean, atol=0.05, rtol=0)
    torch.testing.assert_close(prompts.blocks.mean(1), block_means, atol=0.05, rtol=0)
    assert 0.09 < float((prompts.blocks.detach() - block_means[:, None]).std()) < 0.11


def test_normal_vectors_do_not_move_when_initialized(trunk, waveforms):
    prompts = DeepPrompt(trunk, length=200, **NORMAL)
    before = [p.clone() for p in prompts.parameters()]
    prompts.initialize(trunk, waveforms)
    assert all(torch.equal(a, b) for a, b in zip(before, prompts.parameters()))
    assert 0.45 < float(prompts.blocks.detach().std()) < 0.55


def test_an_unknown_initialization_is_refused():
    with pytest.raises(ValueError, match="'initialization' must be known; expected one of .* got 'zeros'"):
        InputPrompt(nn.Identity(), length=1, initialization="zeros", init_scale=1.0)


@pytest.mark.slow
@pytest.mark.parametrize("layer", range(3))
def test_hidden_states_are_the_encoders_features(folder, trunk, waveforms, layer):
    from speech2unit import encoders

    for states, features in zip(
        plain_hidden_states(trunk, waveforms), encoders.load(folder).features([w.numpy() for w in waveforms], layer)
    ):
        np.testing.assert_allclose(states[layer], features, atol=1e-4)
