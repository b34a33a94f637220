"""The language model for decoding: n-grams of the words in a task's training transcripts."""

from collections import Counter, defaultdict
from functools import lru_cache
from math import log

SENTENCE_START = "<s>"
SENTENCE_END = "</s>"
UNKNOWN_WORD = "<unk>"


class NGram:
    """The probability of a word after a history, interpolated between longer and shorter histories.

    The weight of a history grows with its count and falls with the number of different words that follow it. Below the unigrams
    is a uniform distribution over the words of the training sequences, the end of a sequence, and one entry for all unknown
    words.

    **Source:** Witten and Bell 1991, as interpolated by Chen and Goodman, arXiv cmp-lg/9606011, equation 14.
    """

    def __init__(self, sequences, order):
        """Count n-grams.

        Args:
            sequences: lists of words.
            order: number of words of the longest n-gram.
        """
        self.order = order
        self.counts = defaultdict(Counter)
        for words in sequences:
            padded = [SENTENCE_START, *words, SENTENCE_END]
            for i in range(1, len(padded)):
                for start in range(max(i - order + 1, 0), i + 1):
                    self.counts[tuple(padded[start:i])][padded[i]] += 1
        self.totals = {history: counts.total() for history, counts in self.counts.items()}
        self.words = {*self.counts[()], SENTENCE_END, UNKNOWN_WORD}
        self.score = lru_cache(1 << 16)(self.score)

    def history(self, words):
        """Return the history of the word after `words`: a tuple of the last words, or of `<s>` before the first word."""
        return tuple([SENTENCE_START, *words][-(self.order - 1) :]) if self.order > 1 else ()

    def score(self, history, word):
        """Return the log probability of a word after a `history`, in nats."""
        return log(self._probability(history, word if word in self.words else UNKNOWN_WORD))

    def _probability(self, history, word):
        shorter = self._probability(history[1:], word) if history else 1 / len(self.words)
        if history not in self.totals:
            return shorter
        counts = self.counts[history]
        return (counts[word] + len(counts) * shorter) / (self.totals[history] + len(counts))
