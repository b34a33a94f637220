"""Decode what a tuned unit LM answers to sources: among the legal answers, and freely over the whole vocabulary."""

from typing import NamedTuple

import numpy as np

from ulm.augment_units import UnitAugmentation, augment
from ulm.decode import beam, greedy, n_best, read_sources


class DecodedAnswer(NamedTuple):
    """The answer to one row."""

    labels: list  # decoded among the legal answers
    score: float  # log probability among them, in nats
    free_tokens: list  # decoded greedily over the whole vocabulary, without </s>
    free_labels: list  # labels of these tokens, or None if they are no answer
    n_best: list  # pairs (labels, score) of the most probable answers; empty unless asked for


def decode_answers(tuned, answers, sources, *, sources_per_row=1, beam_size=1, length_penalty=0.0, num_best=0):
    """Return a `DecodedAnswer` for each row.

    Args:
        tuned: a `TunedLM`.
        answers: `ListedAnswers` or `OpenAnswers`.
        sources: rows of tokens `u1 … uN`, the variants of one row after another.
        sources_per_row: number of variants of each row, itself included; see `Variants`.
        beam_size, length_penalty: see `n_best`; with a beam size of 1 decoding is greedy.
        num_best: number of answers in `n_best`; they come from a beam of at least this size.
    """
    state = read_sources(tuned, sources)
    settings = dict(max_steps=answers.max_steps, state=state, sources_per_row=sources_per_row)
    if beam_size == 1:
        decoded, scores = greedy(tuned, sources, following=answers, **settings)
    else:
        decoded, scores = beam(tuned, sources, following=answers, beam_size=beam_size, length_penalty=length_penalty, **settings)
    free, _ = greedy(tuned, sources, **settings)
    ranked = [[] for _ in decoded]
    if num_best:
        beam_settings = dict(beam_size=max(beam_size, num_best), length_penalty=length_penalty)
        ranked = n_best(tuned, sources, num_best=num_best, following=answers, **beam_settings, **settings)
    decoded_answers = []
    for tokens, score, free_tokens, hypotheses in zip(decoded, scores, free, ranked):
        best = [(answers.labels(hypothesis.tokens), hypothesis.score) for hypothesis in hypotheses]
        decoded_answers.append(DecodedAnswer(answers.labels(tokens), score, free_tokens, answers.labels(free_tokens), best))
    return decoded_answers


class Variants:
    """Test-time augmentation: maps a source to itself and augmented variants of it.

    The random numbers of a row follow from its utterance_id, so that every call returns the same variants.

    **Source:** test-time augmentation, Krizhevsky et al. 2012 (NIPS), section 4.1; here with the changes of prompt tuning.
    """

    def __init__(self, num_variants, augmentation, table=None):
        """Prepare the augmentation.

        Args:
            num_variants: number of variants, not counting the source itself.
            augmentation: settings of `UnitAugmentation`.
            table: the result of `substitution_table` for the training rows; it is not needed without variants.
        """
        self.num_variants = num_variants
        self.augmentation = UnitAugmentation(**augmentation)
        self.table = table

    @property
    def sources_per_row(self):
        """Number of sources of each row, itself included."""
        return 1 + self.num_variants

    def __call__(self, source, utterance_id):
        """Return a list of the source `u1 … uN` (an integer array) and its variants."""
        rng = np.random.default_rng(list(utterance_id.encode()))
        return [source, *(augment(source, self.augmentation, self.table, rng) for _ in range(self.num_variants))]
