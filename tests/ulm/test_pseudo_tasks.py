"""Pseudo-tasks: only allowed answers, and the same tasks for the same generator."""

import numpy as np
import pytest
import torch

from ulm.prompt import DeepPrompt
from ulm.pseudo_tasks import TaskPrompts, pseudo_labels

RNG = np.random.default_rng(0)
TEXTS = [" ".join(map(str, RNG.integers(10 * (i % 4), 10 * (i % 4) + 12, 12))) for i in range(80)]
ANSWERS = list(range(7, 40))


@pytest.fixture(scope="module")
def labels():
    return pseudo_labels(TEXTS, 6, ANSWERS, np.random.default_rng(3))


def test_every_row_answers_every_task_with_an_allowed_answer(labels):
    assert labels.shape == (80, 6) and set(labels.flatten().tolist()) <= set(ANSWERS)
    assert all(len(set(column.tolist())) > 1 for column in labels.T)


def test_the_generator_determines_the_tasks(labels):
    assert np.array_equal(pseudo_labels(TEXTS, 6, ANSWERS, np.random.default_rng(3)), labels)
    assert not np.array_equal(pseudo_labels(TEXTS, 6, ANSWERS, np.random.default_rng(4)), labels)


def test_few_answers_are_enough():
    assert set(pseudo_labels(TEXTS, 3, [5, 6], np.random.default_rng(0)).flatten().tolist()) <= {5, 6}


def test_equal_rows_get_equal_answers():
    texts = [text for text in TEXTS[:40] for _ in range(2)]
    labels = pseudo_labels(texts, 6, ANSWERS, np.random.default_rng(1))
    assert np.array_equal(labels[::2], labels[1::2])


def test_task_prompts_equal_deep_prompts(lm):
    torch.manual_seed(0)
    prompts, single = TaskPrompts(lm.config, 4, 3), DeepPrompt(lm.config, 3)
    key_values_of_tasks = prompts.key_values(lm, torch.tensor([[1, 2], [0, 3]]))
    single.keys.data, single.values.data = prompts.keys.data[2], prompts.values.data[2]
    for (keys, values), (expected_keys, expected_values) in zip(key_values_of_tasks, single.key_values(lm)):
        torch.testing.assert_close(keys[:1, :, 3:], expected_keys)
        torch.testing.assert_close(values[:1, :, 3:], expected_values)
        assert keys.shape == (2, 4, 6, 4)
