"""Symbols out of the logits of CTC with a language model: search over prefixes, the paths of each summed up.

**Source:** Hannun et al. 2014, arXiv 1408.2873, algorithm 1. SUPERB decodes with flashlight and the lexicon and 4-gram of
LibriSpeech; here words are open, and the n-grams those of the training transcripts.
"""

from dataclasses import dataclass
from math import exp, inf, log1p

import numpy as np

from speech2unit.metrics import BLANK as WORD_END
from speech2unit.metrics import text
from superb.heads import BLANK
from superb.language_model import END, NGram


@dataclass(frozen=True)
class Fusion:
    """How much a language model counts: `lm_weight` of its log probability, `word_score` for each word."""

    language_model: NGram
    symbols: (
        tuple  # labels in the order of the outputs, from output 1; words are between `|`, or where there is none, each of them
    )
    lm_weight: float
    word_score: float

    def start(self):
        """(score, words so far, letters of the last one) of no symbols."""
        return 0.0, (), ""

    def extend(self, state, symbol):
        """The state after one more symbol."""
        (score, words, letters), label = state, self.symbols[symbol - 1]
        if WORD_END not in self.symbols:
            return self._with_word(score, words, label)
        if label == WORD_END:
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
        return score + self.lm_weight * lm.score(lm.history(words), word) + self.word_score, (*words, word), ""


def fusion_of(transcripts, symbols, *, order, lm_weight, word_score):
    """A `Fusion` with n-grams of up to `order` words of the training transcripts, lists of `symbols`."""
    sequences = [text(labels, WORD_END in symbols).split() for labels in transcripts]
    return Fusion(NGram(sequences, order), tuple(symbols), lm_weight, word_score)


def decode(log_probabilities, fusion, *, beam_size, max_symbols):
    """Log probabilities `[T, 1 + symbols]` of an utterance → the symbols, from 1, that CTC and `fusion` find best.

    beam_size: prefixes that are kept after each frame; max_symbols: outputs that are tried at a frame, the most probable ones.
    """
    beam, states = {(): (0.0, -inf)}, {(): fusion.start()}
    for row in np.asarray(log_probabilities, float):
        tried = np.argsort(-row, kind="stable")[:max_symbols].tolist()
        found = _extended(beam, row.tolist(), tried)
        for prefix in found:
            if prefix not in states:
                states[prefix] = fusion.extend(states[prefix[:-1]], prefix[-1])
        best = sorted(found, key=lambda prefix: -(add(*found[prefix]) + states[prefix][0]))[:beam_size]
        beam, states = {prefix: found[prefix] for prefix in best}, {prefix: states[prefix] for prefix in best}
    return list(max(beam, key=lambda prefix: add(*beam[prefix]) + fusion.finish(states[prefix])))


def _extended(beam, row, tried):
    """Prefix → (log probability of its paths that end in a blank, of those that end in its last symbol), a frame later."""
    found = {}

    def more(prefix, blank, other):
        known = found.get(prefix, (-inf, -inf))
        found[prefix] = add(known[0], blank), add(known[1], other)

    for prefix, (blank, other) in beam.items():
        last = prefix[-1] if prefix else BLANK
        for symbol in tried:
            if symbol == BLANK:
                more(prefix, add(blank, other) + row[BLANK], -inf)
            elif symbol == last:
                more(prefix, -inf, other + row[symbol])
                more((*prefix, symbol), -inf, blank + row[symbol])
            else:
                more((*prefix, symbol), -inf, add(blank, other) + row[symbol])
    return found


def add(a, b):
    """log(e^a + e^b)."""
    if a < b:
        a, b = b, a
    return a if b == -inf else a + log1p(exp(b - a))
