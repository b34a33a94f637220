"""Our prompts and SpeechPrompt's overwritten rows on fairseq's layers: the same logits, gradients and labels."""

import pytest
import torch

from benchmarks.peers.fairseq_lm import (
    PUBLISHED,
    Cached,
    OverwrittenRows,
    dictionary,
    fairseq_unit_lm,
    generate,
    our_unit_lm,
    prompt_of,
)  # fmt: skip
from ulm.decode import greedy, legal_continuations
from ulm.model import UnitLMConfig
from ulm.prompt import DeepPrompt
from ulm.tuned import TunedLM
from ulm.vocabulary import EOS, PAD, SEPARATOR

TINY = UnitLMConfig(vocabulary_size=24, num_layers=2, dim=16, ffn_dim=32, num_heads=4)
NUM_LABELS, LENGTH = 12, 6
SOURCES = torch.randint(4, 24, (7, 9), generator=torch.Generator().manual_seed(2)).tolist()


@pytest.fixture(scope="module")
def theirs():
    model = fairseq_unit_lm(TINY, seed=0)
    for parameter in model.parameters():
        if parameter.dim() == 2:
            torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.fixture(scope="module")
def ours(theirs):
    return our_unit_lm(theirs, TINY)


@pytest.fixture(scope="module")
def prompt(ours):
    return prompt_of(ours, LENGTH, seed=1)


def test_both_hold_the_same_tensors(theirs, ours):
    assert ours.layers[1].fc1.weight.data_ptr() == theirs.decoder.layers[1].fc1.weight.data_ptr()
    assert not any(p.requires_grad for p in [*theirs.parameters(), *ours.parameters()])


def test_logits_equal_those_of_overwritten_rows(theirs, ours):
    tokens = torch.tensor([[EOS, *source, SEPARATOR] for source in SOURCES])
    tokens[1, 6:] = tokens[4, 3:] = PAD
    torch.manual_seed(3)
    separator = torch.randn(16)
    prompt = DeepPrompt(TINY, LENGTH)
    prompt.separator.data = separator
    with torch.no_grad():
        expected, _ = OverwrittenRows(theirs, prompt)(tokens)
        logits = ours(tokens, prompt.key_values(ours), (SEPARATOR, separator))
    assert (logits - expected)[tokens != PAD].abs().max() <= 1e-4


def test_gradients_equal_those_of_overwritten_rows(theirs, ours, prompt):
    overwritten = OverwrittenRows(theirs, prompt)
    sources, targets = [SOURCES[0], SOURCES[1][:4]], [[SEPARATOR, 7, EOS], [SEPARATOR, 9, EOS]]
    rows = [[EOS, *s, *t[:-1]] for s, t in zip(sources, targets)]
    logits, _ = overwritten(torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], True, PAD))
    answers = torch.stack([row[n - 2 : n] for row, n in zip(logits, map(len, rows))])
    torch.nn.functional.cross_entropy(answers.flatten(0, 1), torch.tensor([7, EOS, 9, EOS]), reduction="sum").backward()
    tuned = TunedLM(ours, prompt, "all", label_smoothing=0.0)
    tuned.loss((sources, targets))[0].backward()
    for name in ("keys", "values", "separator"):
        torch.testing.assert_close(getattr(prompt, name).grad, getattr(overwritten, name).grad, atol=1e-4, rtol=1e-4)
    assert overwritten.inputs.grad.abs().max() == 0  # nothing reads what the layers make of these rows


@pytest.mark.parametrize("length, published", [(2, 52_224), (3, 77_824), (5, 129_024), (6, 154_624)])
def test_number_of_trained_parameters_as_published(length, published):
    with torch.device("meta"):
        prompt = DeepPrompt(PUBLISHED, length)
        overwritten = OverwrittenRows(torch.nn.Module(), prompt)
    assert sum(p.numel() for p in overwritten.parameters()) == published
    assert (
        sum(p.numel() for p in prompt.parameters()) == published - length * PUBLISHED.dim
    )  # without the rows that nothing reads


@pytest.mark.parametrize("cached", [False, True])
def test_fairseqs_generator_predicts_the_same_labels(theirs, ours, prompt, cached):
    model = Cached(theirs, prompt.key_values(ours)) if cached else OverwrittenRows(theirs, prompt)
    following = legal_continuations([(4 + label, EOS) for label in range(NUM_LABELS)])
    answers, _ = greedy(TunedLM(ours, prompt, "all", 0.0), SOURCES, max_steps=2, following=following)
    with torch.no_grad():
        assert generate(model, dictionary(20), SOURCES, NUM_LABELS) == [label for (label,) in answers]
    assert len({label for (label,) in answers}) > 1
