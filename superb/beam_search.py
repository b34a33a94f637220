"""CTC decoding with a language model: a beam search over prefixes, which sums the probabilities of all paths of a prefix.

**Source:** Hannun et al. 2014, arXiv 1408.2873, algorithm 1. SUPERB decodes with flashlight and the lexicon and 4-gram of
LibriSpeech. Here any word is possible, and the n-grams are those of the training transcripts.
"""

from dataclasses import dataclass
from heapq import nlargest
from math import exp, inf, log1p

import numpy as np

from evaluation.metrics import WORD_SEPARATOR, text
from superb.heads import CTC_BLANK
from superb.language_model import SENTENCE_END, NGram


@dataclass(frozen=True)
class Fusion:
    """The score that a language model gives to a sequence of symbols.

    The score is `lm_weight` times the log probability of the words, plus `word_score` for each word. The state of a sequence is a
    tuple (score of its complete words, its last words, letters of its last, incomplete word).

    Attributes:
        language_model: n-grams of words.
        symbols: list of labels in the order of the model's outputs, of which the first one is output 1. If `|` is one of them,
            it separates words, and the others are letters. Otherwise each symbol is a word.
        lm_weight: factor of the log probability.
        word_score: number that is added for each word.
    """

    language_model: NGram
    symbols: tuple
    lm_weight: float
    word_score: float

    def start(self):
        """Return the state of the empty sequence."""
        return 0.0, (), ""

    def extend(self, state, symbol):
        """Return the state after one more symbol."""
        score, words, letters = state
        label = self.symbols[symbol - 1]
        if WORD_SEPARATOR not in self.symbols:
            return self._add_word(score, words, label)
        if label == WORD_SEPARATOR:
            return self._add_word(score, words, letters) if letters else state
        return score, words, letters + label

    def finish(self, state):
        """Return the score of the whole sequence, with its last word and its end."""
        score, words, letters = state
        if letters:
            score, words, _ = self._add_word(score, words, letters)
        lm = self.language_model
        return score + self.lm_weight * lm.score(lm.history(words), SENTENCE_END)

    def _add_word(self, score, words, word):
        lm = self.language_model
        score += self.lm_weight * lm.score(lm.history(words), word) + self.word_score
        return score, (*words, word)[-lm.order :], ""


def build_fusion(transcripts, symbols, *, order, lm_weight, word_score):
    """Return a `Fusion` whose language model is made of the n-grams of the training transcripts.

    Args:
        transcripts: list of transcripts, each a list of `symbols`.
        symbols, lm_weight, word_score: see `Fusion`.
        order: number of words of the longest n-gram.
    """
    sequences = [text(labels, WORD_SEPARATOR in symbols).split() for labels in transcripts]
    return Fusion(NGram(sequences, order), tuple(symbols), lm_weight, word_score)


class Prefixes:
    """A tree of sequences of symbols (prefixes). Each prefix is represented by a number; 0 is the empty one.

    Attributes:
        lasts: the last symbol of each prefix.
        states: the state of each prefix in the `Fusion`.
    """

    def __init__(self, fusion):
        self.fusion = fusion
        self.parents = [0]
        self.lasts = [CTC_BLANK]
        self.states = [fusion.start()]
        self.children = {}

    def child(self, prefix, symbol):
        """Return the prefix that is `prefix` followed by a symbol."""
        if (prefix, symbol) not in self.children:
            self.children[prefix, symbol] = len(self.parents)
            self.parents.append(prefix)
            self.lasts.append(symbol)
            self.states.append(self.fusion.extend(self.states[prefix], symbol))
        return self.children[prefix, symbol]

    def symbols(self, prefix):
        """Return the sequence of a prefix."""
        symbols = []
        while prefix:
            symbols.append(self.lasts[prefix])
            prefix = self.parents[prefix]
        return symbols[::-1]


def decode(log_probabilities, fusion, *, beam_size, min_log_probability):
    """Return the sequence of symbols (numbers from 1) with the highest score of CTC and language model together.

    Args:
        log_probabilities: log probabilities of one utterance in nats, `[T, 1 + symbols]`; output 0 is the blank.
        fusion: a `Fusion`, the score of the language model.
        beam_size: number of prefixes that are kept after each frame.
        min_log_probability: in each frame, outputs with a lower log probability (nats) are not tried, except the most probable
            output.
    """
    prefixes = Prefixes(fusion)
    beam = {0: (0.0, -inf)}
    for row in np.asarray(log_probabilities, float):
        outputs = np.flatnonzero((row >= min_log_probability) | (row == row.max())).tolist()
        candidates = _extend_beam(beam, row.tolist(), outputs, prefixes)
        kept = nlargest(beam_size, candidates, key=lambda prefix: log_add(*candidates[prefix]) + prefixes.states[prefix][0])
        beam = {prefix: candidates[prefix] for prefix in kept}
    best = max(beam, key=lambda prefix: log_add(*beam[prefix]) + fusion.finish(prefixes.states[prefix]))
    return prefixes.symbols(best)


def _extend_beam(beam, row, outputs, prefixes):
    """Return the beam one frame later, before it is cut.

    A beam maps a prefix to two log probabilities: of its paths that end in a blank, and of those that end in its last symbol.
    """
    extended = {}

    def add_paths(prefix, ends_in_blank, ends_in_symbol):
        if prefix in extended:
            blank_before, symbol_before = extended[prefix]
            extended[prefix] = log_add(blank_before, ends_in_blank), log_add(symbol_before, ends_in_symbol)
        else:
            extended[prefix] = ends_in_blank, ends_in_symbol

    for prefix, (ends_in_blank, ends_in_symbol) in beam.items():
        last = prefixes.lasts[prefix]
        both = log_add(ends_in_blank, ends_in_symbol)
        for output in outputs:
            if output == CTC_BLANK:
                add_paths(prefix, both + row[CTC_BLANK], -inf)
            elif output == last:
                add_paths(prefix, -inf, ends_in_symbol + row[output])
                add_paths(prefixes.child(prefix, output), -inf, ends_in_blank + row[output])
            else:
                add_paths(prefixes.child(prefix, output), -inf, both + row[output])
    return extended


def log_add(a, b):
    """Return log(e^a + e^b)."""
    if a < b:
        a, b = b, a
    return a if b == -inf else a + log1p(exp(b - a))
