"""What compressed encoders learn: teachers that stay as they are, losses over real frames only, batches of any size."""

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
    parent_states,
    posterior_loss,
    state_loss,
    teacher_posteriors,
)
from training.fit import fit

SIZES = MelHuBERTConfig(1, 16, 24, 4, 4, 2, (5, 7))
HOW = dict(
    num_updates=3, learning_rate=0.01, rate_factors={}, warmup_updates=0, clip_norm=5.0, betas=(0.9, 0.98), weight_decay=0.1,
    evaluate_every=2, batches_per_update=1, seed=1,
)  # fmt: skip
PLAIN = dict(tempo=0.0, warp=0.0, equalizer_nats=0.0, noise_probability=0.0, max_masked_bins=0)


def small(seed, dropout=0.0):
    torch.manual_seed(seed)
    return MelHuBERTModel(SIZES, dropout)


def batch_of(lengths, mask=NO_MASK, seed=0):
    generator = torch.Generator().manual_seed(seed)
    examples = [(torch.randn(n, 80, generator=generator), torch.zeros(n, 1, dtype=torch.long)) for n in lengths]
    return collate(examples, mask, np.random.default_rng(seed))


@torch.no_grad()
def test_the_loss_is_the_divergence_of_the_posteriors():
    student, teacher, batch = small(0), small(1), batch_of([9, 4])
    found, number = posterior_loss(student, teacher, batch, 2.0, False)
    expected = 0
    for row, length in enumerate([9, 4]):
        for ours, wanted in zip(*(model(batch[0][row : row + 1, :length]) for model in (student, teacher))):
            p, q = (F.softmax(logits[0] / 2, -1) for logits in (wanted, ours))
            expected += 4 * (p * (p / q).log()).sum()
    assert number == 2 * 13
    torch.testing.assert_close(found, expected)
    assert posterior_loss(student, student, batch, 1.0, False)[0].abs() < 1e-4


@torch.no_grad()
@pytest.mark.parametrize("masked", [True, False])
def test_padding_counts_for_nothing(masked):
    student, teacher = small(0), small(1)
    frames, lengths, targets, mask = batch_of([9, 4], dict(probability=0.5, span=2, min_spans=1))
    loud = frames.clone()
    loud[1, 4:] = 100.0
    quiet, number = posterior_loss(student, teacher, (frames, lengths, targets, mask), 1.0, masked)
    torch.testing.assert_close(posterior_loss(student, teacher, (loud, lengths, targets, mask), 1.0, masked)[0], quiet)
    assert number == 2 * (int(mask.sum()) if masked else 13)
    alone = posterior_loss(student, teacher, (frames[:1], lengths[:1], targets[:1], mask[:1]), 1.0, masked)
    rest = posterior_loss(student, teacher, (frames[1:, :4], lengths[1:], targets[1:, :4], mask[1:, :4]), 1.0, masked)
    torch.testing.assert_close(alone[0] + rest[0], quiet)


def test_a_teacher_is_neither_trained_nor_dropped_from(utterances):
    teacher, student = small(1, dropout=0.5), small(0, dropout=0.5)
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    modes, hook = [], lambda module, *_: modes.append(module.training)
    teacher.register_forward_pre_hook(hook)
    goal = teacher_posteriors(
        student, teacher, FrontEnd(torch.zeros(40), torch.ones(40), False), utterances, augmentation=PLAIN, mask=NO_MASK, temperature=1.0,
        masked=False, max_crop_frames=20, batch_frames=60, dev_fraction=0.3, seed=1,
    )  # fmt: skip
    fit(student, loss=goal.loss, batches=goal.batches, evaluate=goal.evaluate, **HOW)
    assert modes and not any(modes) and not any(p.requires_grad for p in teacher.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())


def test_frames_are_masked_for_teacher_and_student_alike_or_not_at_all(utterances):
    seen = {}
    for masked in (True, False):
        teacher, student, inputs = small(1), small(0), []
        for model in (teacher, student):
            model.register_forward_pre_hook(lambda _, args, inputs=inputs: inputs.append(args[0]))
        goal = teacher_posteriors(
            student, teacher, FrontEnd(torch.zeros(40), torch.ones(40), False), utterances, augmentation=PLAIN, temperature=1.0,
            mask=dict(probability=0.5, span=3, min_spans=1), masked=masked, max_crop_frames=20, batch_frames=60, dev_fraction=0.3, seed=1,
        )  # fmt: skip
        batch = next(goal.batches(0))
        _, number = goal.loss(batch)
        assert torch.equal(*inputs) and number == 2 * int(batch[3].sum() if masked else batch[1].sum())
        seen[masked] = bool(batch[3].any())
    assert seen == {True: True, False: False}


# wav2vec 2.0 style encoders


def states_goal(model, rows):
    return parent_states(model, rows, max_crop_frames=10, batch_frames=40, dev_fraction=0.3, seed=1)


def test_before_it_is_cut_a_model_has_its_parents_states(hubert, utterances):
    goal = states_goal(hubert, utterances)
    untouched = goal.evaluate()["loss"]
    assert untouched == pytest.approx(-F.logsigmoid(torch.tensor(1.0)).item(), abs=1e-4)
    with torch.no_grad():
        hubert.blocks[0].fc1.weight.mul_(0.5)
    assert goal.evaluate()["loss"] > untouched + 0.005


@torch.no_grad()
def test_states_are_compared_at_real_frames_only(hubert):
    student = copy.deepcopy(hubert)
    student.blocks[1].fc2.weight.mul_(2.0)
    waveforms = [torch.randn(n, generator=torch.Generator().manual_seed(n)) for n in (4_000, 1_500)]
    together, number = state_loss(student, hubert, waveforms)
    (first, n), (second, m) = (state_loss(student, hubert, [waveform]) for waveform in waveforms)
    assert number == n + m and n > m
    torch.testing.assert_close(together, first + second)


def test_only_the_blocks_learn(hubert, utterances):
    goal = states_goal(hubert, utterances)
    with torch.no_grad():
        hubert.blocks[0].fc1.weight.mul_(0.5)
    before = {name: tensor.clone() for name, tensor in hubert.state_dict().items()}
    curve = fit(hubert, loss=goal.loss, batches=goal.batches, evaluate=goal.evaluate, **HOW)
    changed = {name for name, tensor in hubert.state_dict().items() if not torch.equal(tensor, before[name])}
    assert {name.split(".")[0] for name in changed} == {"blocks", "input_norm"} and np.isfinite(
        [row["value"] for row in curve]
    ).all()


def test_an_utterance_without_a_frame_is_left_out(hubert, utterances):
    path, row = utterances[0]
    goal = states_goal(hubert, [*utterances, (path, row | dict(num_samples=hubert.config.min_samples - 1))])
    assert sum(len(batch) for batch in goal.subset_batches(1.0)) == len(utterances) - 2  # two judge


# batches


def test_once_over_every_utterance_comes_once_and_the_last_batch_may_be_short():
    rows = [(i, dict(num_samples=16_000)) for i in range(DEV_BATCH_SIZE + 8)]
    goal = build_objective(
        rows, lambda chosen, rng: [path for path, _ in chosen], None, None, max_crop_frames=50, batch_frames=400, dev_fraction=0.1, seed=1
    )  # fmt: skip
    batches = list(goal.subset_batches(1.0))
    assert [len(batch) for batch in batches] == [DEV_BATCH_SIZE, 4] and len({i for batch in batches for i in batch}) == 36
    assert [len(batch) for batch in goal.subset_batches(0.25)] == [9] and list(goal.subset_batches(0.25)) == list(
        goal.subset_batches(0.25)
    )


def test_the_held_out_loss_weighs_every_target_alike():
    rows = [(i, dict(num_samples=16_000)) for i in range(4 * DEV_BATCH_SIZE)]
    goal = build_objective(
        rows, lambda chosen, rng: [path for path, _ in chosen], None, lambda batch: (torch.tensor(float(sum(batch))), len(batch)),
        max_crop_frames=50, batch_frames=400, dev_fraction=0.3, seed=1,
    )  # fmt: skip
    train = {i for batch in goal.subset_batches(1.0) for i in batch}
    assert goal.evaluate() == dict(loss=pytest.approx(np.mean([i for i, _ in rows if i not in train])))
