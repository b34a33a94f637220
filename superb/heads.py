"""Heads of the tasks of SUPERB, over frames `[B, T, D]`. Logits, losses and answers are those of s3prl.

`HEADS[architecture](dim, num_outputs, hop_seconds, **settings)` creates a head:

    dim: dimension D of the frames.
    num_outputs: list with the number of classes of each slot, or `[symbols]` without the blank of CTC, or `[speakers]`.
    hop_seconds: seconds from one frame to the next.
    settings: the settings of the architecture, which its class explains.

A head has three methods:

    forward(x, lengths): takes frames `[B, T, D]` and the number of frames of each utterance `[B]`. Returns the logits, and the
        number of logits per utterance `[B]` or None.
    loss(logits, lengths, targets): returns the sum of the losses, and the number of utterances (in diarization, frames) that it
        sums over. Their ratio is s3prl's loss of the batch.
    answers(logits, lengths): returns a list with one answer per utterance, in the form of its target.

**Source:** SUPERB, arXiv 2105.01051, section 3, with the settings of s3prl 0.4.18.
"""

from itertools import permutations

import torch
import torch.nn.functional as F
from torch import nn

from storage.errors import data_error
from superb.diarization import frames_of_segments, segments_of_frames

CTC_BLANK = 0  # number of the output that is the blank


class MeanPooling(nn.Module):
    """One class per slot of an utterance (KS, IC, SID): projection, mean over the frames, linear map.

    The target of an utterance is a list with the number of its class in each slot.
    """

    def __init__(self, dim, num_outputs, hop_seconds, *, projection_dim):
        super().__init__()
        self.num_outputs = num_outputs
        self.projection = nn.Linear(dim, projection_dim)
        self.linear = nn.Linear(projection_dim, sum(num_outputs))

    def forward(self, x, lengths):
        """Return logits `[B, sum(num_outputs)]`, those of all slots one after another, and None."""
        valid_mask = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
        pooled = (self.projection(x) * valid_mask[..., None]).sum(1) / lengths[:, None]
        return self.linear(pooled), None

    def loss(self, logits, lengths, targets):
        """Return the cross entropy in nats, summed over slots and utterances, and the number of utterances.

        Args:
            logits: `[B, sum(num_outputs)]`.
            lengths: not used.
            targets: B lists with the number of the class in each slot.
        """
        targets = torch.as_tensor(targets, device=logits.device)
        slots = zip(logits.split(self.num_outputs, -1), targets.unbind(-1))
        return sum(F.cross_entropy(part, target, reduction="sum") for part, target in slots), len(logits)

    def answers(self, logits, lengths):
        """Return the most probable class of each slot."""
        return torch.stack([part.argmax(-1) for part in logits.split(self.num_outputs, -1)], -1).tolist()


class CTC(nn.Module):
    """Base class of the heads for sequences of symbols. Output 0 is the blank; a target is a list of symbols, from 1."""

    def loss(self, logits, lengths, targets):
        """Return the negative log probability of each target per symbol, summed, and the number of utterances.

        The loss is 0 for a target that has too many symbols for the number of frames.
        """
        sizes = torch.tensor([len(target) for target in targets], device=logits.device)
        symbols = torch.tensor([symbol for target in targets for symbol in target], dtype=torch.long, device=logits.device)
        losses = F.ctc_loss(
            logits.log_softmax(-1).transpose(0, 1),
            symbols,
            lengths,
            sizes,
            CTC_BLANK,
            reduction="none",
            zero_infinity=True,
        )
        return (losses / sizes.clamp(min=1)).sum(), len(targets)

    def answers(self, logits, lengths):
        """Return the symbols of the best path, without repetitions and blanks."""
        paths = [path[:length].unique_consecutive() for path, length in zip(logits.argmax(-1), lengths)]
        return [path[path != CTC_BLANK].tolist() for path in paths]


class LinearCTC(CTC):
    """Symbols of each frame on its own (PR): projection and linear map."""

    def __init__(self, dim, num_outputs, hop_seconds, *, projection_dim):
        super().__init__()
        (num_symbols,) = num_outputs
        self.projection = nn.Linear(dim, projection_dim)
        self.linear = nn.Linear(projection_dim, 1 + num_symbols)

    def forward(self, x, lengths):
        """Return logits `[B, T, 1 + symbols]` and lengths `[B]`."""
        return self.linear(self.projection(x)), lengths


class RecurrentCTC(CTC):
    """Symbols of bidirectional LSTMs (ASR, SF)."""

    def __init__(
        self, dim, num_outputs, hop_seconds, *, projection_dim, hidden_dim, num_layers, dropout, downsampling, concatenate
    ):
        """Create the head.

        Args:
            dim, num_outputs, hop_seconds: see the module.
            projection_dim: dimension of the projected frames.
            hidden_dim: units of an LSTM in each direction.
            num_layers: number of LSTM layers.
            dropout: dropout probability after each LSTM.
            downsampling: number of neighbouring frames that become one frame; 1: all frames are kept.
            concatenate: True: these frames are concatenated. False: only the first of them is kept.
        """
        super().__init__()
        (num_symbols,) = num_outputs
        self.downsampling = downsampling
        self.concatenate = concatenate
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Linear(dim, projection_dim)
        input_dims = [projection_dim * (downsampling if concatenate else 1)] + [2 * hidden_dim] * (num_layers - 1)
        self.layers = nn.ModuleList(
            nn.LSTM(input_dim, hidden_dim, batch_first=True, bidirectional=True) for input_dim in input_dims
        )
        self.linear = nn.Linear(2 * hidden_dim, 1 + num_symbols)

    def forward(self, x, lengths):
        """Return logits `[B, T // downsampling, 1 + symbols]` and lengths `[B]`.

        Raises:
            ValueError: if downsampling leaves no frame of an utterance.
        """
        x, lengths = self._downsample(self.projection(x), lengths)
        for layer in self.layers:
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
            x = self.dropout(nn.utils.rnn.pad_packed_sequence(layer(packed)[0], batch_first=True)[0])
        return self.linear(x), lengths

    def _downsample(self, x, lengths):
        """Return frames `[B, T // downsampling, D or D · downsampling]` and lengths."""
        rate = self.downsampling
        if lengths.min() < rate:
            raise data_error(
                "recurrent_ctc",
                "an utterance must have a frame after downsampling",
                expected=f"at least {rate} frames of the encoder",
                got=f"{int(lengths.min())}",
                remedy="lower 'downsampling' in the preset of superb_heads, or remove the utterance",
            )
        x = x[:, : x.shape[1] // rate * rate].unflatten(1, (-1, rate))
        x = x.flatten(2) if self.concatenate else x[:, :, 0]
        return x, lengths // rate


class Diarization(nn.Module):
    """Who speaks when (SD): LSTM and linear map to one logit per speaker and frame.

    The target of an utterance is a list of segments as labels, see `superb.diarization`.
    """

    def __init__(self, dim, num_outputs, hop_seconds, *, hidden_dim, num_layers, median_frames):
        """Create the head.

        Args:
            dim, num_outputs, hop_seconds: see the module.
            hidden_dim: units of the LSTM.
            num_layers: number of its layers.
            median_frames: width in frames of the median filter over the answers, an odd number; 1: no filter.
        """
        super().__init__()
        (self.num_speakers,) = num_outputs
        self.hop_seconds = hop_seconds
        self.median_frames = median_frames
        self.lstm = nn.LSTM(dim, hidden_dim, num_layers, batch_first=True)
        self.linear = nn.Linear(hidden_dim, self.num_speakers)

    def forward(self, x, lengths):
        """Return logits `[B, T, speakers]` and lengths `[B]`."""
        return self.linear(self.lstm(x)[0]), lengths

    def loss(self, logits, lengths, targets):
        """Return the permutation-invariant binary cross entropy, summed over frames, and the number of frames.

        The loss of a frame is the mean over the speakers. For each utterance, the order of the speakers is the one with the
        lowest loss.
        **Source:** EEND, arXiv 1909.05952, equation 5.
        """
        total = 0
        for row, length, labels in zip(logits, lengths.tolist(), targets):
            target = torch.from_numpy(frames_of_segments(labels, length, self.hop_seconds, self.num_speakers)).to(row.device)
            orders = permutations(range(self.num_speakers))
            losses = [F.binary_cross_entropy_with_logits(row[:length], target[:, order], reduction="sum") for order in orders]
            total = total + torch.stack(losses).min() / self.num_speakers
        return total, int(lengths.sum())

    def answers(self, logits, lengths):
        """Return segments as labels."""
        active = [(row[:length] > 0).cpu().numpy() for row, length in zip(logits, lengths.tolist())]
        return [segments_of_frames(frames, self.hop_seconds, self.median_frames) for frames in active]


HEADS = dict(mean_pooling=MeanPooling, linear_ctc=LinearCTC, recurrent_ctc=RecurrentCTC, diarization=Diarization)
