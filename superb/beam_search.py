"""Symbols out of the logits of CTC with a language model: search over prefixes, the paths of each summed up.

**Source:** Hannun et al. 2014, arXiv 1408.2873, algorithm 1. SUPERB decodes with flashlight and the lexicon and 4-gram of
LibriSpeech; here words are open, and the n-grams those of the training transcripts.
"""

from dataclasses import dataclass
from heapq import nlargest
from math import exp, inf, log1p

import numpy as np

from evaluation.metrics import WORD_SEPARATOR, text
from superb.heads import CTC_BLANK
from superb.language_model import END, NGram


@dataclass(frozen=True)
class Fusion:
    """How much a language model counts: `lm_weight` of its log probability, `word_score` for each word.

    symbols: labels in the order of the outputs, from output 1. Words stand between `|`; where none is, each symbol is a word.
    """

    language_model: NGram
    symbols: tuple
    lm_weight: float
    word_score: float

    def start(self):
        """(score, the words that count for the next one, its letters so far) of no symbols."""
        return 0.0, (), ""

    def extend(self, state, symbol):
        """The state after one more symbol."""
        (score, words, letters), label = state, self.symbols[symbol - 1]
        if WORD_SEPARATOR not in self.symbols:
            return self._with_word(score, words, label)
        if label == WORD_SEPARATOR:
            return self._with_word(score, words, letters) if letters else state
        return score, words, letters + label

    def finish(self, state):
        """Score of all, the last word and the end included."""
        score, words, letters = state
        if letters:
            score, words, _ = self._with_word(score, words, letters)
        lm = self.language_model
        return score + self.lm_weight * lm.score(lm.history(words), END)

    def _with_word(self, score, words, word):
        lm = self.language_model
        score += self.lm_weight * lm.score(lm.history(words), word) + self.word_score
        return score, (*words, word)[-lm.order :], ""


def build_fusion(transcripts, symbols, *, order, lm_weight, word_score):
    """A `Fusion` with n-grams of up to `order` words of the training transcripts, lists of `symbols`."""
    sequences = [text(labels, WORD_SEPARATOR in symbols).split() for labels in transcripts]
    return Fusion(NGram(sequences, order), tuple(symbols), lm_weight, word_score)


class Prefixes:
    """Sequences of symbols as numbers, 0 the empty one: a new one is an older one and a symbol."""

    def __init__(self, fusion):
        self.fusion, self.parents, self.lasts, self.children = fusion, [0], [CTC_BLANK], {}
        self.states = [fusion.start()]

    def child(self, prefix, symbol):
        """The number of `prefix` with a symbol behind it."""
        found = self.children.get((prefix, symbol))
        if found is None:
            found = self.children[prefix, symbol] = len(self.parents)
            self.parents.append(prefix)
            self.lasts.append(symbol)
            self.states.append(self.fusion.extend(self.states[prefix], symbol))
        return found

    def symbols(self, prefix):
        """The sequence."""
        found = []
        while prefix:
            found.append(self.lasts[prefix])
            prefix = self.parents[prefix]
        return found[::-1]


def decode(log_probabilities, fusion, *, beam_size, min_log_probability):
    """Log probabilities `[T, 1 + symbols]` of an utterance → the symbols, from 1, that CTC and `fusion` find best.

    beam_size: prefixes that are kept after each frame; min_log_probability: outputs below it (nats) are not tried at a frame,
    unless it is the most probable one.
    """
    prefixes, beam = Prefixes(fusion), {0: (0.0, -inf)}
    for row in np.asarray(log_probabilities, float):
        tried = np.flatnonzero((row >= min_log_probability) | (row == row.max())).tolist()
        found = _extended(beam, row.tolist(), tried, prefixes)
        best = nlargest(beam_size, found, key=lambda prefix: add(*found[prefix]) + prefixes.states[prefix][0])
        beam = {prefix: found[prefix] for prefix in best}
    return prefixes.symbols(max(beam, key=lambda prefix: add(*beam[prefix]) + fusion.finish(prefixes.states[prefix])))


def _extended(beam, row, tried, prefixes):
    """Prefix → (log probability of its paths that end in a blank, of those that end in its last symbol), a frame later."""
    found = {}

    def more(prefix, blank, other):
        known = found.get(prefix)
        found[prefix] = (add(known[0], blank), add(known[1], other)) if known else (blank, other)

    for prefix, (blank, other) in beam.items():
        last, both = prefixes.lasts[prefix], add(blank, other)
        for symbol in tried:
            if symbol == CTC_BLANK:
                more(prefix, both + row[CTC_BLANK], -inf)
            elif symbol == last:
                more(prefix, -inf, other + row[symbol])
                more(prefixes.child(prefix, symbol), -inf, blank + row[symbol])
            else:
                more(prefixes.child(prefix, symbol), -inf, both + row[symbol])
    return found


def add(a, b):
    """log(e^a + e^b)."""
    if a < b:
        a, b = b, a
    return a if b == -inf else a + log1p(exp(b - a))
