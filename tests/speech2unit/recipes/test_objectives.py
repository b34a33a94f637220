"""Objectives: teachers that do not change, losses over frames without padding, batches of any size."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from speech2unit.encoders.models.log_mel import FrontEnd
from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from speech2unit.recipes.masked_frames import collate
from speech2unit.recipes.objectives import (
    DEV_BATCH_SIZE,
    NO_MASK,
    build_objective,
    layer_losses,
    number_blocks,
    parent_states,
    posterior_loss,
    state_loss,
    teacher_posteriors,
)
from speech2unit.recipes.prune_layers import keep_layers
from tests.equality import assert_same_tensors

CONFIG = MelHuBERTConfig(1, 16, 24, 4, 4, 2, (5, 7))
FRONT_END = FrontEnd(torch.zeros(40), torch.ones(40), False)
POSTERIORS = dict(
    augmentation=dict(tempo=0.0, warp=0.0, equalizer_nats=0.0, noise_probability=0.0, max_masked_bins=0),
    max_crop_frames=20,
    batch_frames=60,
    dev_fraction=0.3,
    temperature=1.0,
    seed=1,
)
TRAINING = dict(
    num_updates=3,
    optimization=dict(
        batches_per_update=1,
        learning_rate=0.01,
        warmup_updates=0,
        clip_norm=5.0,
        betas=(0.9, 0.98),
        weight_decay=0.1,
        evaluate_every=2,
    ),
    seed=1,
)


def make_melhubert(seed, dropout=0.0):
    torch.manual_seed(seed)
    return MelHuBERTModel(CONFIG, dropout)


def make_batch(lengths, mask_settings=NO_MASK):
    generator = torch.Generator().manual_seed(0)
    examples = [(torch.randn(n, 80, generator=generator), torch.zeros(n, 1, dtype=torch.long)) for n in lengths]
    return collate(examples, mask_settings, np.random.default_rng(0))


# posteriors of a teacher


@torch.no_grad()
def test_the_loss_is_the_divergence_of_the_posteriors():
    student, teacher = make_melhubert(0), make_melhubert(1)
    batch = make_batch([9, 4])
    loss, num_targets = posterior_loss(student, teacher, batch, 2.0, False)
    expected = 0
    for row, length in enumerate([9, 4]):
        frames = batch[0][row : row + 1, :length]
        for student_logits, teacher_logits in zip(student(frames), teacher(frames)):
            p = F.softmax(teacher_logits[0] / 2, -1)
            q = F.softmax(student_logits[0] / 2, -1)
            expected += 4 * (p * (p / q).log()).sum()
    assert num_targets == 2 * 13
    torch.testing.assert_close(loss, expected)
    loss_of_equals, _ = posterior_loss(student, student, batch, 1.0, False)
    assert loss_of_equals.abs() < 1e-4


@torch.no_grad()
@pytest.mark.parametrize("masked", [True, False])
def test_padding_does_not_change_the_loss_of_posteriors(masked):
    def loss_of(*batch):
        return posterior_loss(make_melhubert(0), make_melhubert(1), batch, 1.0, masked)

    frames, lengths, targets, mask = make_batch([9, 4], dict(probability=0.5, span=2, min_spans=1))
    loss, num_targets = loss_of(frames, lengths, targets, mask)
    assert num_targets == 2 * (int(mask.sum()) if masked else 13)
    loud_padding = frames.clone()
    loud_padding[1, 4:] = 100.0
    torch.testing.assert_close(loss_of(loud_padding, lengths, targets, mask)[0], loss)
    loss_of_first_row, _ = loss_of(frames[:1], lengths[:1], targets[:1], mask[:1])
    loss_of_second_row, _ = loss_of(frames[1:, :4], lengths[1:], targets[1:, :4], mask[1:, :4])
    torch.testing.assert_close(loss_of_first_row + loss_of_second_row, loss)


def test_a_teacher_is_not_trained_and_has_no_dropout(utterances):
    student = make_melhubert(0, dropout=0.5)
    teacher = make_melhubert(1, dropout=0.5)
    tensors_before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    training_modes = []
    teacher.register_forward_pre_hook(lambda module, _: training_modes.append(module.training))
    objective = teacher_posteriors(student, teacher, FRONT_END, utterances, mask=NO_MASK, masked=False, **POSTERIORS)
    objective.train(student, **TRAINING)
    assert training_modes and not any(training_modes)
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert_same_tensors(teacher.state_dict(), tensors_before)


@pytest.mark.parametrize("masked", [True, False])
def test_student_and_teacher_see_the_same_frames(utterances, masked):
    student, teacher = make_melhubert(0), make_melhubert(1)
    inputs = []
    for model in (teacher, student):
        model.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0]))
    mask = dict(probability=0.5, span=3, min_spans=1)
    objective = teacher_posteriors(student, teacher, FRONT_END, utterances, mask=mask, masked=masked, **POSTERIORS)
    batch = next(objective.batches(0))
    _, num_targets = objective.loss(batch)
    _, lengths, _, mask_of_batch = batch
    assert torch.equal(*inputs)
    assert num_targets == 2 * int(mask_of_batch.sum() if masked else lengths.sum())
    assert bool(mask_of_batch.any()) == masked


# hidden states of a teacher


def test_the_loss_of_states_is_squared_error_and_cosine_similarity():
    states, teacher_states = ([torch.randn(1, 3, 8) for _ in range(5)] for _ in range(2))
    loss, num_frames = layer_losses(states, teacher_states, torch.tensor([3]), [2, 4], 0.5)
    expected = 0
    for layer in (2, 4):
        expected += 3 * F.mse_loss(states[layer], teacher_states[layer])
        expected -= 0.5 * F.cosine_similarity(states[layer], teacher_states[layer], dim=-1).sigmoid().log().sum()
    assert num_frames == 3
    torch.testing.assert_close(loss, expected)


def test_padding_does_not_change_the_loss_of_states():
    states, teacher_states = ([torch.randn(2, 6, 8) for _ in range(5)] for _ in range(2))
    lengths = torch.tensor([6, 2])
    loss, num_frames = layer_losses(states, teacher_states, lengths, [2, 4], 1.0)
    for padded in (*states, *teacher_states):
        padded[1, 2:] = torch.randn(4, 8) * 1e3
    assert num_frames == 8
    assert layer_losses(states, teacher_states, lengths, [2, 4], 1.0)[0] == loss


@torch.no_grad()
def test_a_kept_block_learns_the_layer_of_its_number(hubert):
    student = copy.deepcopy(hubert)
    number_blocks(student)
    keep_layers(student, [2])
    waveform = torch.randn(4_000, generator=torch.Generator().manual_seed(1))
    loss, num_frames = state_loss(student, hubert, [waveform])
    frames = [hubert.front_end(waveform)]
    (_, state), (*_, learned) = student.hidden_states(frames), hubert.hidden_states(frames)
    assert num_frames == state.shape[1]
    distance = (state - learned).square().mean(-1) - F.logsigmoid(F.cosine_similarity(state, learned, dim=-1))
    torch.testing.assert_close(loss, distance.sum())


@torch.no_grad()
def test_the_state_loss_of_a_batch_is_the_sum_over_its_waveforms(hubert):
    student = copy.deepcopy(hubert)
    number_blocks(student)
    student.blocks[1].fc2.weight.mul_(2.0)
    waveforms = [torch.randn(n, generator=torch.Generator().manual_seed(n)) for n in (4_000, 1_500)]
    loss, num_frames = state_loss(student, hubert, waveforms)
    (first_loss, first_frames), (second_loss, second_frames) = (state_loss(student, hubert, [w]) for w in waveforms)
    assert first_frames > second_frames
    assert num_frames == first_frames + second_frames
    torch.testing.assert_close(loss, first_loss + second_loss)


def keep_states_of(model, rows):
    return parent_states(model, rows, max_crop_frames=10, batch_frames=40, dev_fraction=0.3, seed=1)


def test_a_model_has_its_parents_states_until_it_is_compressed(hubert, utterances):
    objective = keep_states_of(hubert, utterances)
    loss_before = objective.evaluate()["loss"]
    assert loss_before == pytest.approx(-F.logsigmoid(torch.tensor(1.0)).item(), abs=1e-4)
    with torch.no_grad():
        hubert.blocks[0].fc1.weight.mul_(0.5)
    assert objective.evaluate()["loss"] > loss_before + 0.005


def test_only_the_blocks_and_their_input_norm_are_trained(hubert, utterances):
    objective = keep_states_of(hubert, utterances)
    with torch.no_grad():
        hubert.blocks[0].fc1.weight.mul_(0.5)
    tensors_before = {name: tensor.clone() for name, tensor in hubert.state_dict().items()}
    curve = objective.train(hubert, **TRAINING)
    changed = {name for name, tensor in hubert.state_dict().items() if not torch.equal(tensor, tensors_before[name])}
    assert {name.split(".")[0] for name in changed} == {"blocks", "input_norm"}
    assert np.isfinite([row["value"] for row in curve]).all()


def test_an_utterance_shorter_than_a_frame_is_left_out(hubert, utterances):
    path, row = utterances[0]
    too_short = (path, row | dict(num_samples=hubert.config.min_samples - 1))
    objective = keep_states_of(hubert, [*utterances, too_short])
    num_dev = 2
    assert sum(len(batch) for batch in objective.subset_batches(1.0)) == len(utterances) - num_dev


# batches


def build_counting_objective(num_rows, dev_fraction, dev_loss=None):
    """Return an objective whose batches are the numbers of their rows."""
    rows = [(number, dict(num_samples=16_000)) for number in range(num_rows)]
    return build_objective(
        rows,
        lambda batch_rows, rng: [number for number, _ in batch_rows],
        None,
        dev_loss,
        max_crop_frames=50,
        batch_frames=400,
        dev_fraction=dev_fraction,
        seed=1,
    )


def test_subset_batches_have_every_utterance_once_and_the_last_may_be_short():
    objective = build_counting_objective(DEV_BATCH_SIZE + 8, dev_fraction=0.1)
    batches = list(objective.subset_batches(1.0))
    assert [len(batch) for batch in batches] == [DEV_BATCH_SIZE, 4]
    assert len({number for batch in batches for number in batch}) == 36


def test_subset_batches_are_the_same_every_time():
    objective = build_counting_objective(DEV_BATCH_SIZE + 8, dev_fraction=0.1)
    batches = list(objective.subset_batches(0.25))
    assert [len(batch) for batch in batches] == [9]
    assert list(objective.subset_batches(0.25)) == batches


def test_every_target_has_the_same_weight_in_the_dev_loss():
    num_rows = 4 * DEV_BATCH_SIZE
    objective = build_counting_objective(
        num_rows, dev_fraction=0.3, dev_loss=lambda batch: (torch.tensor(float(sum(batch))), len(batch))
    )
    train = {number for batch in objective.subset_batches(1.0) for number in batch}
    dev = set(range(num_rows)) - train
    assert objective.evaluate() == dict(loss=pytest.approx(np.mean(list(dev))))
