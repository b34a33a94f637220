"""A language model of a task's own training transcripts: n-grams of words, for decoding."""

from collections import Counter, defaultdict
from functools import lru_cache
from math import log

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"


class NGram:
    """Probability of a word after others, mixed from longer and shorter histories by how many words follow each.

    **Source:** Witten and Bell 1991, as interpolated by Chen and Goodman, arXiv cmp-lg/9606011, equation 14; shortest is the
    uniform distribution over the words of the training sequences, the end and all unknown words together.
    """

    def __init__(self, sequences, order):
        """sequences: lists of words; order: words of the longest n-gram."""
        self.order, self.counts = order, defaultdict(Counter)
        for words in sequences:
            padded = [BEGIN, *words, END]
            for i in range(1, len(padded)):
                for start in range(max(i - order + 1, 0), i + 1):
                    self.counts[tuple(padded[start:i])][padded[i]] += 1
        self.totals = {history: counts.total() for history, counts in self.counts.items()}
        self.words = {*self.counts[()], END, UNKNOWN}
        self.score = lru_cache(1 << 16)(self.score)

    def history(self, words):
        """Of the words so far, those that the next one depends on; the first of all is `<s>`."""
        return tuple([BEGIN, *words][-(self.order - 1) :]) if self.order > 1 else ()

    def score(self, history, word):
        """Log probability, in nats, of a word after a `history`."""
        return log(self._probability(history, word if word in self.words else UNKNOWN))

    def _probability(self, history, word):
        shorter = self._probability(history[1:], word) if history else 1 / len(self.words)
        if history not in self.totals:
            return shorter
        counts = self.counts[history]
        return (counts[word] + len(counts) * shorter) / (self.totals[history] + len(counts))
