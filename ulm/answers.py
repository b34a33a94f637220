"""The answers that may be decoded for a task: which tokens may follow a prefix, and which labels the decoded tokens mean.

`ListedAnswers` and `OpenAnswers` have the same interface:

* `answers[prefix]`: the set of tokens that may follow a tuple of tokens, as in the result of `legal_continuations`;
* `answers.max_steps`: the maximum number of tokens of an answer, `</s>` included;
* `answers.labels(tokens)`: the labels of decoded tokens without `</s>`, or None if they are no answer.

The notation of rows, such as `u1 … uN`, is explained in `ulm/__init__.py`.
"""

import math

from storage.errors import data_error
from ulm.decode import legal_continuations
from ulm.vocabulary import EOS


class ListedAnswers:
    """Only the answers of the training rows may be decoded."""

    def __init__(self, rows):
        """Collect the answers from rows of `BINARIZED`."""
        training = [row for row in rows if row["split"] == "train"]
        self._set({tuple(row["tokens"][row["num_source"] + 1 :]): row["labels"] for row in training})

    @classmethod
    def of(cls, sequences):
        """Return the answers of a dict from tokens `y1 … yk </s>` (a tuple) to labels."""
        answers = cls.__new__(cls)
        answers._set(sequences)
        return answers

    def _set(self, sequences):
        self.sequences = sequences
        self.max_steps = max(map(len, self.sequences))
        self.following = legal_continuations(self.sequences)

    def __getitem__(self, prefix):
        return self.following[prefix]

    def labels(self, tokens):
        """Return the labels of tokens without `</s>`, or None if they are no answer."""
        return self.sequences.get((*tokens, EOS))


class OpenAnswers:
    """All sequences of 1 to `max_labels` known labels may be decoded. `</s>` may come only after a complete label."""

    def __init__(self, label_tokens, max_labels):
        """Check that decoded tokens can be split into labels.

        Args:
            label_tokens: dict from each label to its tokens. All labels must have the same number of tokens.
            max_labels: maximum number of labels per answer.

        Raises:
            ValueError: if two labels have the same tokens, or two labels have different numbers of tokens.
        """
        self.label_of = {tuple(tokens): label for label, tokens in label_tokens.items()}
        widths = {len(tokens) for tokens in self.label_of}
        if len(widths) != 1 or len(self.label_of) < len(label_tokens):
            raise data_error(
                "verbalizer",
                "decoded sequences are split into labels of equal length",
                expected="a different sequence of equally many units for each label",
                got=f"{len(self.label_of)} different sequences for {len(label_tokens)} labels, of lengths {sorted(widths)}",
                remedy="rerun fit_verbalizer",
            )
        (self.width,) = widths
        self.max_labels = max_labels
        self.max_steps = self.width * max_labels + 1
        self.within_label = legal_continuations(self.label_of)

    def __getitem__(self, prefix):
        position = len(prefix) % self.width
        if position:
            return self.within_label[prefix[-position:]]
        if len(prefix) == self.width * self.max_labels:
            return {EOS}
        first_tokens = self.within_label[()]
        return first_tokens | {EOS} if prefix else first_tokens

    def labels(self, tokens):
        """Return the labels of tokens without `</s>`, or None if they are no answer."""
        starts = range(0, len(tokens), self.width)
        labels = [self.label_of.get(tuple(tokens[start : start + self.width])) for start in starts]
        return labels if 0 < len(labels) <= self.max_labels and None not in labels else None


def open_answers(rows, label_map, index_of, max_length_factor):
    """Return `OpenAnswers` with at most `max_length_factor` times as many labels as the longest training answer.

    Args:
        rows: rows of `BINARIZED`.
        label_map: dict from each label to its units.
        index_of: dict from each unit to its vocabulary index.
        max_length_factor: the product is rounded down, but at least one label is allowed.
    """
    longest = max(len(row["labels"]) for row in rows if row["split"] == "train")
    label_tokens = {label: [index_of[unit] for unit in units] for label, units in label_map.items()}
    return OpenAnswers(label_tokens, max(1, math.floor(max_length_factor * longest)))
