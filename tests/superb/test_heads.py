"""Heads: logits, losses and answers are those of s3prl's modules with the same random weights."""

import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from superb.diarization import segments_of_frames
from superb.heads import HEADS
from superb.model import TaskModel

DIM, HOP = 12, 0.02
RECURRENT = dict(projection_dim=10, hidden_dim=6, num_layers=2, dropout=0.2)
SETTINGS = dict(
    mean_pooling=dict(projection_dim=8), linear_ctc=dict(projection_dim=8),
    recurrent_ctc=RECURRENT | dict(downsampling=1, concatenate=True), diarization=dict(hidden_dim=7, num_layers=1, median_frames=1),
)  # fmt: skip
LENGTHS = torch.tensor([9, 23, 4, 16])


@pytest.fixture
def frames():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(int(length), DIM, generator=generator) for length in LENGTHS]


@pytest.fixture
def padded(frames):
    return pad_sequence(frames, batch_first=True)


def build_head(architecture, num_outputs, **changes):
    torch.manual_seed(0)
    return HEADS[architecture](DIM, num_outputs, HOP, **SETTINGS[architecture] | changes).eval()


def copy_weights(ours, theirs, names):
    """Return `theirs` with the weights of `ours`; names: pairs of a pattern in their names and its replacement in ours."""
    state = ours.state_dict()
    for name, tensor in theirs.state_dict().items():
        for pattern, replacement in names:
            name = re.sub(pattern, replacement, name)
        tensor.copy_(state.pop(name))
    assert not state
    return theirs.eval()


def assert_close(actual, expected):
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=0)


# KS, SID and IC


@pytest.mark.parametrize("num_outputs", [[12], [5, 3, 4]], ids=["ks_sid", "ic"])
def test_mean_pooling_equals_s3prls(frames, padded, num_outputs):
    from s3prl.downstream.model import UtteranceLevel

    head = build_head("mean_pooling", num_outputs)
    theirs = nn.ModuleDict(dict(projector=nn.Linear(DIM, 8), model=UtteranceLevel(8, sum(num_outputs))))
    copy_weights(head, theirs, [("^projector", "projection"), (r"^model\.post_net\.linear", "linear")])
    expected, _ = theirs["model"](theirs["projector"](padded), LENGTHS)
    logits, lengths = head(padded + 7 * (padded == 0), LENGTHS)
    assert_close(logits, expected)
    rng = np.random.default_rng(0)
    start = loss = 0
    answers = []
    targets = [[int(rng.integers(n)) for n in num_outputs] for _ in frames]
    for slot, num_classes in enumerate(num_outputs):  # as in s3prl's expert for Fluent Speech Commands
        part = expected[:, start : start + num_classes]
        loss += nn.CrossEntropyLoss()(part, torch.tensor([target[slot] for target in targets]))
        answers.append(part.argmax(-1).tolist())
        start += num_classes
    total, count = head.loss(logits, lengths, targets)
    assert_close(total / count, loss)
    assert head.answers(logits, lengths) == [list(row) for row in zip(*answers)]


# PR, ASR and SF


def ctc_targets():
    rng = np.random.default_rng(1)
    return [rng.integers(1, 8, n).tolist() for n in (3, 7, 4, 5)]


def check_ctc(head, logits, lengths, expected, expected_lengths):
    assert lengths.tolist() == expected_lengths.tolist()
    for row, expected_row, length in zip(logits, expected, lengths):
        assert_close(row[:length], expected_row[:length])
    targets = ctc_targets()
    labels = pad_sequence([torch.tensor(target) for target in targets], batch_first=True)
    sizes = torch.tensor([len(target) for target in targets])
    loss = nn.CTCLoss(blank=0, zero_infinity=True)(expected.log_softmax(-1).transpose(0, 1), labels, expected_lengths, sizes)
    total, count = head.loss(logits, lengths, targets)
    assert_close(total / count, loss)
    paths = [row[:length].argmax(-1).unique_consecutive().tolist() for row, length in zip(expected, lengths)]
    assert head.answers(logits, lengths) == [[symbol for symbol in path if symbol] for path in paths]


def test_linear_ctc_equals_s3prls(padded):
    from s3prl.downstream.model import FrameLevel

    head = build_head("linear_ctc", [7])
    theirs = nn.ModuleDict(dict(projector=nn.Linear(DIM, 8), model=FrameLevel(8, 8)))
    copy_weights(head, theirs, [("^projector", "projection"), (r"^model\.linear", "linear")])
    check_ctc(head, *head(padded, LENGTHS), *theirs["model"](theirs["projector"](padded), LENGTHS))


@pytest.mark.parametrize("downsampling, style", [(1, "concat"), (2, "concat"), (2, "drop"), (4, "concat")])
def test_recurrent_ctc_equals_s3prls(padded, downsampling, style):
    from s3prl.downstream.asr.model import RNNs

    head = build_head("recurrent_ctc", [7], downsampling=downsampling, concatenate=style == "concat")
    settings = dict(
        module="LSTM", bidirection=True, dim=[6, 6], dropout=[0.2, 0.2], layer_norm=[False] * 2, proj=[False] * 2, sample_rate=[1, 1],
        sample_style=style, total_rate=320 * downsampling,
    )  # fmt: skip
    theirs = nn.ModuleDict(dict(projector=nn.Linear(DIM, 10), model=RNNs(10, 8, 320, **settings)))
    names = [("^projector", "projection"), (r"^model\.rnns\.(\d)\.layer", r"layers.\1"), (r"^model\.linear", "linear")]
    copy_weights(head, theirs, names)
    projected = theirs["projector"](padded)
    check_ctc(head, *head(padded, LENGTHS), *theirs["model"](projected, LENGTHS))


def test_dropout_acts_in_training_only(padded):
    head = build_head("recurrent_ctc", [7])
    assert torch.equal(head(padded, LENGTHS)[0], head(padded, LENGTHS)[0])
    head.train()
    assert not torch.equal(head(padded, LENGTHS)[0], head(padded, LENGTHS)[0])


def test_an_utterance_without_a_frame_after_downsampling_is_refused(padded):
    with pytest.raises(
        ValueError, match="an utterance must have a frame after downsampling; expected at least 5 frames of the encoder"
    ):
        build_head("recurrent_ctc", [7], downsampling=5)(padded, LENGTHS)


def test_a_target_with_too_many_symbols_for_its_frames_costs_nothing(padded):
    head = build_head("linear_ctc", [7])
    logits, lengths = head(padded[:1], LENGTHS[:1])
    assert head.loss(logits, lengths, [[1, 1] * 8])[0] == 0
    assert head.loss(logits, lengths, [[]])[0].isfinite()  # an utterance without symbols


# SD


def speakers(num_speakers=2):
    rng = np.random.default_rng(2)
    return [rng.random((int(length), num_speakers)) < 0.5 for length in LENGTHS]


def test_diarization_equals_s3prls(padded):
    from s3prl.downstream.diarization.model import Model as DiarizationModel
    from s3prl.downstream.diarization.utils import pit_loss

    head = build_head("diarization", [2])
    theirs = copy_weights(head, DiarizationModel(DIM, 2, 1, 7), [("^rnn", "lstm")])
    logits, lengths = head(padded, LENGTHS)
    expected = theirs(padded)
    assert_close(logits, expected)
    active = speakers()
    labels = pad_sequence([torch.from_numpy(frames).float() for frames in active], batch_first=True)
    loss, order, _ = pit_loss(expected, labels, LENGTHS)
    assert len(set(order.tolist())) == 2  # both orders occur
    total, count = head.loss(logits, lengths, [segments_of_frames(frames, HOP, 1) for frames in active])
    assert_close(total / count, loss)
    answers = [segments_of_frames(row[:length] > 0, HOP, 1) for row, length in zip(expected, LENGTHS)]
    assert head.answers(logits, lengths) == answers


def test_the_order_of_three_speakers_does_not_matter(padded):
    head = build_head("diarization", [3])
    outputs = head(padded, LENGTHS)
    active = speakers(3)
    losses = [
        head.loss(*outputs, [segments_of_frames(frames[:, order], HOP, 1) for frames in active])[0]
        for order in ([0, 1, 2], [2, 0, 1], [1, 0, 2])
    ]
    assert_close(torch.stack(losses), losses[0].expand(3))


# weighted sum


class Upstream(nn.Module):
    """An upstream with what s3prl's featurizer reads."""

    def __init__(self, states):
        super().__init__()
        self.states = states

    def get_downsample_rates(self, key):
        return 1

    def forward(self, waveforms):
        return dict(hidden_states=self.states)


class Identity(nn.Module):
    def forward(self, x, lengths):
        return x, lengths


def test_the_weighted_sum_equals_s3prls():
    from s3prl.upstream.interfaces import Featurizer

    generator = torch.Generator().manual_seed(0)
    cached = [torch.randn(5, int(length), DIM, generator=generator) for length in LENGTHS]
    states = pad_sequence([state.transpose(0, 1) for state in cached], batch_first=True).permute(2, 0, 1, 3)
    featurizer = Featurizer(Upstream(list(states)), upstream_device="cpu")
    trunk = nn.Linear(1, 1)
    trunk.num_layers = 4
    model = TaskModel(trunk, nn.Identity(), Identity())
    assert model.layer_weights.tolist() == featurizer.weights.tolist() == [0] * 5
    with torch.no_grad():
        model.layer_weights.copy_(torch.randn(5, generator=generator))
        featurizer.weights.copy_(model.layer_weights)
    weighted, lengths = model(cached)
    expected = featurizer([torch.zeros(int(length)) for length in LENGTHS], dict(hidden_states=list(states)))
    for row, expected_row, length in zip(weighted, expected, lengths):
        assert len(expected_row) == length
        assert_close(row[:length], expected_row)
