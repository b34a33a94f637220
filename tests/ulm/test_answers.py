"""Answers: the tokens that may follow each prefix, and tokens back to labels."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ulm.answers import ListedAnswers, OpenAnswers, open_answers
from ulm.vocabulary import EOS

ROWS = [
    dict(split="train", tokens=[9, 8, 0, 5, 6, 2], num_source=2, labels=["a", "b"]),
    dict(split="test", tokens=[9, 0, 7, 7, 7, 2], num_source=1, labels=["c", "c", "c"]),
]


def test_listed_answers_are_those_of_the_training_rows():
    answers = ListedAnswers(ROWS)
    assert answers.sequences == {(5, 6, EOS): ["a", "b"]} and answers.max_steps == 3
    assert (answers[()], answers[(5,)], answers[5, 6]) == ({5}, {6}, {EOS})
    assert (answers.labels([5, 6]), answers.labels([5]), answers.labels([])) == (["a", "b"], None, None)


def test_open_answers_end_only_after_a_whole_label():
    answers = OpenAnswers(dict(a=[5, 6], b=[5, 7], c=[6, 5]), 2)
    assert answers[()] == {5, 6} and answers[(5,)] == {6, 7} and answers[(6,)] == {5}
    assert answers[(5, 7)] == {5, 6, EOS} and answers[(5, 7, 6)] == {5} and answers[(5, 7, 6, 5)] == {EOS}
    assert answers.max_steps == 5


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 8), st.data())
def test_every_legal_path_has_labels_and_other_tokens_have_none(width, max_labels, num_labels, data):
    tokens = st.tuples(*[st.integers(4, 7)] * width)
    label_tokens = dict(enumerate(data.draw(st.lists(tokens, min_size=1, max_size=num_labels, unique=True))))
    answers = OpenAnswers({str(label): tokens for label, tokens in label_tokens.items()}, max_labels)
    path = []
    while (token := data.draw(st.sampled_from(sorted(answers[tuple(path)])))) != EOS:
        path.append(token)
    labels = answers.labels(path)
    assert [t for label in labels for t in label_tokens[int(label)]] == path and 1 <= len(labels) <= max_labels
    assert len(path) < answers.max_steps
    assert answers.labels([]) is None and answers.labels([*path, 99]) is None
    assert answers.labels([*path, *(path * max_labels)]) is None


@pytest.mark.parametrize("factor, max_labels", [(1.0, 2), (1.5, 3), (0.1, 1)])
def test_the_most_labels_are_those_of_the_longest_training_answer_times_a_factor(factor, max_labels):
    answers = open_answers(ROWS, dict(a=[1], b=[2]), {1: 5, 2: 6}, factor)
    assert answers.max_labels == max_labels and answers.labels([6, 5][:max_labels]) == ["b", "a"][:max_labels]


@pytest.mark.parametrize("label_tokens", [dict(a=[5], b=[5]), dict(a=[5], b=[5, 6])])
def test_labels_that_cannot_be_distinguished_are_refused(label_tokens):
    with pytest.raises(
        ValueError, match="verbalizer: decoded sequences are split into labels of equal length; expected a different"
    ):
        OpenAnswers(label_tokens, 3)
