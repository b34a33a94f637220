"""What may be answered at all, as the tokens that may follow each prefix (see `legal_continuations`), and back to labels."""

import math

from storage.errors import data_error
from ulm.build_vocabulary import EOS
from ulm.decode import legal_continuations


class ListedAnswers:
    """The answers of the training rows and nothing else: `following[prefix]` → tokens that may come, at most `max_steps`."""

    def __init__(self, rows):
        """`rows` of `BINARIZED`."""
        training = [row for row in rows if row["split"] == "train"]
        self.sequences = {tuple(row["tokens"][row["num_source"] + 1 :]): row["labels"] for row in training}
        self.max_steps = max(map(len, self.sequences))
        self.following = legal_continuations(self.sequences)

    def __getitem__(self, prefix):
        return self.following[prefix]

    def labels(self, tokens):
        """Labels that the tokens (without `</s>`) say, or None where they are no answer."""
        return self.sequences.get((*tokens, EOS))


class OpenAnswers:
    """Every sequence of 1 to `max_labels` known labels; `</s>` may stand between labels only. Used as `ListedAnswers`."""

    def __init__(self, said, max_labels):
        """`said`: label → its tokens, equally many for all; no two labels have the same. Raises `ValueError`."""
        self.label_of = {tuple(tokens): label for label, tokens in said.items()}
        lengths = {len(tokens) for tokens in self.label_of}
        if len(lengths) != 1 or len(self.label_of) < len(said):
            raise data_error(
                "verbalizer",
                "sequences are read back label by label",
                expected="labels as different, equally long units",
                got=f"{len(self.label_of)} different ones for {len(said)} labels, lengths {sorted(lengths)}",
                remedy="rerun fit_verbalizer",
            )
        self.width, self.max_labels = lengths.pop(), max_labels
        self.max_steps = self.width * max_labels + 1
        self.inside = legal_continuations(self.label_of)

    def __getitem__(self, prefix):
        begun = len(prefix) % self.width
        if begun:
            return self.inside[prefix[-begun:]]
        if len(prefix) == self.width * self.max_labels:
            return {EOS}
        return self.inside[()] | {EOS} if prefix else self.inside[()]

    def labels(self, tokens):
        """Labels that the tokens (without `</s>`) say, or None where they are no answer."""
        words = [self.label_of.get(tuple(tokens[i : i + self.width])) for i in range(0, len(tokens), self.width)]
        return words if 0 < len(words) <= self.max_labels and None not in words else None


def open_answers(rows, label_map, index_of, max_length_factor):
    """`OpenAnswers` up to the longest training answer in `rows` of `BINARIZED`, times a factor.

    label_map: label → units; index_of: unit → token.
    """
    longest = max(len(row["labels"]) for row in rows if row["split"] == "train")
    said = {label: [index_of[unit] for unit in units] for label, units in label_map.items()}
    return OpenAnswers(said, max(1, math.floor(max_length_factor * longest)))
