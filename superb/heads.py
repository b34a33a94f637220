"""Heads of the SUPERB tasks over frames `[B, T, D]`: logits, losses and answers as in s3prl, whose logits are equal.

`HEADS[architecture](dim, num_outputs, hop_seconds, **settings)`. A head's `loss` is (sum, number); sum over number is s3prl's
loss of the batch. **Source:** SUPERB, arXiv 2105.01051, section 3, and the settings of s3prl 0.4.18.
"""

from itertools import permutations

import torch
import torch.nn.functional as F
from torch import nn

from storage.errors import data_error
from superb.diarization import frames_of, segments_of_frames

CTC_BLANK = 0  # of CTC


class MeanPooling(nn.Module):
    """One class of each slot of an utterance: projection, mean over the frames, linear map (KS, IC, SID)."""

    def __init__(self, dim, num_outputs, hop_seconds, *, projection_dim):
        super().__init__()
        self.num_outputs = num_outputs
        self.projection, self.linear = nn.Linear(dim, projection_dim), nn.Linear(projection_dim, sum(num_outputs))

    def forward(self, x, lengths):
        """Frames `[B, T, D]` → logits `[B, sum(num_outputs)]`, and None."""
        real = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
        pooled = (self.projection(x) * real[..., None]).sum(1) / lengths[:, None]
        return self.linear(pooled), None

    def loss(self, logits, lengths, targets):
        """Cross entropy, summed over slots and utterances; targets `[B, slots]`."""
        targets = torch.as_tensor(targets, device=logits.device)
        parts = zip(logits.split(self.num_outputs, -1), targets.unbind(-1))
        return sum(F.cross_entropy(part, wanted, reduction="sum") for part, wanted in parts), len(logits)

    def answers(self, logits, lengths):
        """The most probable class of each slot."""
        return torch.stack([part.argmax(-1) for part in logits.split(self.num_outputs, -1)], -1).tolist()


class CTC(nn.Module):
    """What heads for sequences of symbols share; output 0 is the blank, symbols count from 1."""

    def loss(self, logits, lengths, targets):
        """Negative log probability of each target over its length, summed; 0 for a target that does not fit into its frames."""
        sizes = torch.tensor([len(target) for target in targets], device=logits.device)
        flat = torch.tensor([symbol for target in targets for symbol in target], dtype=torch.long, device=logits.device)
        each = F.ctc_loss(
            logits.log_softmax(-1).transpose(0, 1), flat, lengths, sizes, CTC_BLANK, reduction="none", zero_infinity=True
        )
        return (each / sizes.clamp(min=1)).sum(), len(targets)

    def answers(self, logits, lengths):
        """The best path without repetitions and blanks."""
        paths = [path[:length].unique_consecutive() for path, length in zip(logits.argmax(-1), lengths)]
        return [path[path != CTC_BLANK].tolist() for path in paths]


class LinearCTC(CTC):
    """Symbols of each frame by itself (PR)."""

    def __init__(self, dim, num_outputs, hop_seconds, *, projection_dim):
        super().__init__()
        (num_symbols,) = num_outputs
        self.projection, self.linear = nn.Linear(dim, projection_dim), nn.Linear(projection_dim, 1 + num_symbols)

    def forward(self, x, lengths):
        """Frames `[B, T, D]` → logits `[B, T, 1 + symbols]`, lengths `[B]`."""
        return self.linear(self.projection(x)), lengths


class RecurrentCTC(CTC):
    """Symbols by bidirectional LSTMs (ASR, SF)."""

    def __init__(
        self, dim, num_outputs, hop_seconds, *, projection_dim, hidden_dim, num_layers, dropout, downsampling, concatenate
    ):
        """downsampling: every so many frames become one, side by side (`concatenate`) or the first of them."""
        super().__init__()
        (num_symbols,) = num_outputs
        self.downsampling, self.concatenate, self.dropout = downsampling, concatenate, nn.Dropout(dropout)
        self.projection = nn.Linear(dim, projection_dim)
        sizes = [projection_dim * (downsampling if concatenate else 1)] + [2 * hidden_dim] * (num_layers - 1)
        self.layers = nn.ModuleList(nn.LSTM(size, hidden_dim, batch_first=True, bidirectional=True) for size in sizes)
        self.linear = nn.Linear(2 * hidden_dim, 1 + num_symbols)

    def forward(self, x, lengths):
        """Frames `[B, T, D]` → logits `[B, T // downsampling, 1 + symbols]`, lengths `[B]`. Raises `ValueError` where none are left."""
        x, lengths = self.fewer_frames(self.projection(x), lengths)
        for layer in self.layers:
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
            x = self.dropout(nn.utils.rnn.pad_packed_sequence(layer(packed)[0], batch_first=True)[0])
        return self.linear(x), lengths

    def fewer_frames(self, x, lengths):
        """`[B, T, D]` → `[B, T // downsampling, D or D · downsampling]`, lengths."""
        rate = self.downsampling
        if lengths.min() < rate:
            raise data_error(
                "recurrent_ctc",
                "an utterance must hold a frame",
                expected=f"at least {rate} frames of the encoder",
                got="fewer",
                remedy="lower 'downsampling' in config/config.yaml, or drop the utterance",
            )
        x = x[:, : x.shape[1] // rate * rate].unflatten(1, (-1, rate))
        return x.flatten(2) if self.concatenate else x[:, :, 0], lengths // rate


class Diarization(nn.Module):
    """Who speaks when: an LSTM and a linear map, a probability for each speaker and frame (SD)."""

    def __init__(self, dim, num_outputs, hop_seconds, *, hidden_dim, num_layers, median_frames):
        """median_frames: width of the median filter over the answers, odd; 1: none."""
        super().__init__()
        (self.num_speakers,) = num_outputs
        self.hop_seconds, self.median_frames = hop_seconds, median_frames
        self.lstm = nn.LSTM(dim, hidden_dim, num_layers, batch_first=True)
        self.linear = nn.Linear(hidden_dim, self.num_speakers)

    def forward(self, x, lengths):
        """Frames `[B, T, D]` → logits `[B, T, speakers]`, lengths `[B]`."""
        return self.linear(self.lstm(x)[0]), lengths

    def loss(self, logits, lengths, targets):
        """Binary cross entropy, mean over the speakers, in the order of them that suits the utterance best; sum over frames.

        targets: lists of segments as labels, see `superb.diarization`. **Source:** EEND, arXiv 1909.05952, equation 5.
        """
        total = 0
        for row, length, labels in zip(logits, lengths.tolist(), targets):
            wanted = torch.from_numpy(frames_of(labels, length, self.hop_seconds, self.num_speakers)).to(row.device)
            orders = permutations(range(self.num_speakers))
            losses = [F.binary_cross_entropy_with_logits(row[:length], wanted[:, order], reduction="sum") for order in orders]
            total = total + torch.stack(losses).min() / self.num_speakers
        return total, int(lengths.sum())

    def answers(self, logits, lengths):
        """Segments as labels."""
        active = [(row[:length] > 0).cpu().numpy() for row, length in zip(logits, lengths.tolist())]
        return [segments_of_frames(each, self.hop_seconds, self.median_frames) for each in active]


HEADS = dict(mean_pooling=MeanPooling, linear_ctc=LinearCTC, recurrent_ctc=RecurrentCTC, diarization=Diarization)
