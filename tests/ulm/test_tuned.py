"""What is trained is exactly what the settings say, and it can be loaded from its file."""

import copy
from collections import Counter
from itertools import count, islice

import pytest
import torch

from storage.weights import save_config, save_tensors
from training.device import cast_frozen, mixed_precision
from training.fit import SeededBatches, trained_state
from ulm.prompt import DeepPrompt, InputPrompt
from ulm.tuned import (
    CACHED_BATCHES,
    MASKED_LOGIT,
    CachedSourceBatches,
    LinearVerbalizer,
    TunedLM,
    answer_tokens,
    load_tuned,
    unfreeze,
)
from ulm.vocabulary import EOS, SEPARATOR

PAIRS = [([5, 9, 12], [SEPARATOR, 7, EOS]), ([6, 7], [SEPARATOR, 20, EOS]), ([8, 9, 8, 9, 8], [SEPARATOR, 7, EOS])]
BATCH = tuple(zip(*PAIRS))
WAYS = {
    "deep": (DeepPrompt, dict(lora_rank=0, train_lm=False), {"prompt.keys", "prompt.values", "prompt.separator"}, 2 * 2 * 3 * 16 + 16),
    "input": (InputPrompt, dict(lora_rank=0, train_lm=False), {"prompt.vectors", "prompt.separator"}, 3 * 16 + 16),
    "lora": (DeepPrompt, dict(lora_rank=2, train_lm=False), None, 2 * 2 * 3 * 16 + 16 + 2 * 2 * 2 * 2 * 16),
    "full": (DeepPrompt, dict(lora_rank=0, train_lm=True), None, None),
}  # fmt: skip


def build(lm, way, verbalizer=None):
    torch.manual_seed(0)
    make, more, _, _ = WAYS[way]
    tuned = TunedLM(lm, make(lm.config, 3), "all", 0.1, verbalizer)
    unfreeze(tuned, **more)
    return tuned


@pytest.mark.parametrize("way", WAYS)
def test_exactly_what_is_trained_gets_gradients(lm, way):
    tuned, (_, _, names, count) = build(lm, way), WAYS[way]
    for parameter in tuned.parameters():  # with B at zero, A would have no gradient
        torch.nn.init.normal_(parameter, std=0.3)
    loss, _ = tuned.loss(BATCH)
    loss.backward()
    with_gradient = {name: p for name, p in tuned.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    trained = {name for name, p in tuned.named_parameters() if p.requires_grad}
    assert set(with_gradient) == trained
    if names:
        assert trained == names
    count = count or sum(p.numel() for p in lm.parameters()) + 2 * 2 * 3 * 16 + 16
    assert sum(p.numel() for p in with_gradient.values()) == count


@pytest.mark.parametrize("way", WAYS)
def test_what_was_trained_can_be_loaded(lm, way, tmp_path):
    save_tensors(tmp_path / "model.safetensors", lm.state_dict())
    save_config(tmp_path / "config.json", lm.config.to_dict())
    tuned = build(lm, way, LinearVerbalizer(24, [EOS, 7, 20]))
    for parameter in tuned.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter) * parameter.requires_grad
    save_tensors(tmp_path / "prompt.safetensors", {f"seed10.{name}": t for name, t in trained_state(tuned).items()})
    paths = [tmp_path / name for name in ("prompt.safetensors", "model.safetensors", "config.json")]
    loaded = load_tuned(*paths, scope="all", answers=[EOS, 7, 20], device="cpu")
    assert list(loaded) == [10] and not loaded[10].training
    torch.testing.assert_close(loaded[10].target_logits(*BATCH), tuned.eval().target_logits(*BATCH))


@pytest.mark.parametrize("way", WAYS)
def test_casting_frozen_matrices_once_changes_no_bit(lm, way):
    cpu = torch.device("cpu")
    results = []
    for cast in (False, True):
        tuned = build(copy.deepcopy(lm), way)
        if cast:
            cast_frozen(tuned, cpu)
        with mixed_precision(cpu):
            loss, _ = tuned.loss(BATCH)
        loss.backward()
        assert all(p.dtype == torch.float32 for p in tuned.parameters() if p.requires_grad)
        results.append([loss, *(p.grad for p in tuned.parameters() if p.requires_grad)])
    assert all(torch.equal(uncast, cast) for uncast, cast in zip(*results))


def test_low_rank_updates_start_from_the_unchanged_unit_lm(lm):
    plain = TunedLM(lm, DeepPrompt(lm.config, 0), "all", 0.0)
    before = plain.target_logits(*BATCH)[0]
    unfreeze(plain, lora_rank=2, train_lm=False)
    torch.testing.assert_close(plain.target_logits(*BATCH)[0], before)


@pytest.mark.parametrize("more", [dict(lora_rank=1, train_lm=False), dict(lora_rank=0, train_lm=True)])
def test_a_trained_unit_lm_needs_scope_all(lm, more):
    with pytest.raises(ValueError, match="expected scope: all, got scope: target; correct the preset"):
        unfreeze(TunedLM(lm, DeepPrompt(lm.config, 0), "target", 0.0), **more)


def test_a_linear_verbalizer_starts_as_the_identity_on_answers():
    logits = torch.randn(2, 3, 24)
    mapped = LinearVerbalizer(24, [EOS, 7, 20])(logits)
    others = [i for i in range(24) if i not in (EOS, 7, 20)]
    torch.testing.assert_close(mapped[..., [EOS, 7, 20]], logits[..., [EOS, 7, 20]])
    assert (mapped[..., others] == MASKED_LOGIT).all()


def test_answer_tokens_are_those_of_the_training_rows():
    rows = [
        dict(split="train", tokens=[9, 8, 0, 6, 5, 2], num_source=2),
        dict(split="test", tokens=[9, 0, 7, 2], num_source=1),
    ]
    assert answer_tokens(rows) == [2, 5, 6]


def test_the_loss_covers_the_labels_and_the_end(lm, prompt):
    tuned = TunedLM(lm, prompt, "target", 0.0)
    loss, num_targets = tuned.loss(BATCH)
    assert num_targets == 6  # a label and </s> in each of three rows; no sources and no <s>
    logits, wanted = tuned.target_logits(*BATCH)
    expected = -logits.log_softmax(-1).gather(-1, wanted[..., None]).sum()
    assert wanted.tolist() == [[7, EOS], [20, EOS], [7, EOS]]
    torch.testing.assert_close(loss, expected)


def test_cached_sources_are_reused_and_give_the_same_loss(lm):
    tuned = TunedLM(lm, DeepPrompt(lm.config, 3), "target", 0.1)

    def reader():
        return CachedSourceBatches(
            tuned, SeededBatches(count(), lambda i, _: ([[5 + i % 9, 9, 6]] * 2, [[SEPARATOR, 7, EOS]] * 2), [0]), 3, [0]
        )

    used = list(islice(reader(), 2 * 3 * CACHED_BATCHES))
    assert set(Counter(str(sources) for sources, _, _ in used[: 3 * CACHED_BATCHES]).values()) == {3}
    assert [str(sources) for sources, _, _ in used[:CACHED_BATCHES]] != [
        str(sources) for sources, _, _ in used[CACHED_BATCHES : 2 * CACHED_BATCHES]
    ]
    for batch in used[:3]:
        assert not any(tensor.requires_grad for pair in batch[2] for tensor in pair)
        torch.testing.assert_close(tuned.loss(batch), tuned.loss(batch[:2]))
    for num_skipped in (1, 3 * CACHED_BATCHES - 1, 3 * CACHED_BATCHES, 4 * CACHED_BATCHES):
        skipped = reader()
        skipped.skip(num_skipped)
        assert next(skipped)[0] == used[num_skipped][0] and next(skipped)[0] == used[num_skipped + 1][0]
