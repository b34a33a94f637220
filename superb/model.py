"""The model that solves a task: an encoder, the modules that tuning adds to it, a weighted sum of hidden states, and a head."""

import torch
import torch.nn.functional as F
from torch import nn

from speech2unit.encoders import load_trunk
from storage.errors import data_error, nearest
from superb.heads import HEADS
from superb.hidden_states import batch_hidden_states
from superb.tuning import prepare
from training.fit import trained_state

NOT_IN_ENCODER = ("head.", "layer_weights")  # first part of the names of parameters that do not change the encoder


class TaskModel(nn.Module):
    """An encoder with a head.

    The inputs of all methods are a list: mono waveforms `[N_i]` at `trunk.sample_rate`, as float32 tensors or arrays. If nothing
    in the encoder is trained, they may also be hidden states `[L + 1, T_i, D]`, see `superb.hidden_states.plain_hidden_states`.

    The target of an utterance depends on the head. For one class per slot, it is their numbers, such as `[3]` or `[0, 4, 1]`. For
    sequences, it is the numbers of the symbols, from 1. For diarization, it is segments as labels, such as `1 0.00 0.42`.

    The trunk stays in evaluation mode.

    Attributes:
        trunk: the encoder, see `speech2unit.encoders.Trunk`.
        tuning_module: an `EncoderTuning`, what the way of tuning adds to the encoder. In saved files, the names of its tensors
            begin with `inside.`, because the submodule is registered as `inside`; both names mean the same module.
        layer_weights: parameter `[L + 1]`; its softmax weights the hidden states.
        head: one of `superb.heads`.
        normalize: whether each hidden state has mean 0 and variance 1 before the sum, as with s3prl's option
            `--upstream_feature_normalize`.
    """

    def __init__(self, trunk, tuning_module, head, normalize=False):
        super().__init__()
        self.normalize = normalize
        self.trunk = trunk
        self.inside = tuning_module  # saved files use this name (`inside.…`); code reads the property `tuning_module`
        self.head = head
        self.layer_weights = nn.Parameter(torch.zeros(trunk.num_layers + 1))

    @property
    def tuning_module(self):
        """The `EncoderTuning`, what the way of tuning adds to the encoder."""
        return self.inside

    def train(self, mode=True):
        """Switch the mode as `nn.Module.train` does, except for the trunk, which stays in evaluation mode."""
        super().train(mode)
        self.trunk.eval()
        return self

    def forward(self, inputs):
        """Return the logits and their lengths, as the head does. The head always computes in float32."""
        states, lengths = self._hidden_states(inputs)
        if self.normalize:
            states = F.layer_norm(states, states.shape[-1:])
        with torch.autocast(states.device.type, enabled=False):
            return self.head(torch.einsum("l,lbtd->btd", self.layer_weights.softmax(0), states), lengths)

    def _hidden_states(self, inputs):
        """Return hidden states `[L + 1, B, T, D]` and the numbers of frames `[B]`."""
        if inputs[0].ndim == 1:
            return batch_hidden_states(self.trunk, self.tuning_module, inputs)
        device = self.layer_weights.device
        states = [torch.as_tensor(state, dtype=torch.float32, device=device).transpose(0, 1) for state in inputs]
        padded = nn.utils.rnn.pad_sequence(states, batch_first=True)
        return padded.permute(2, 0, 1, 3), torch.tensor([len(state) for state in states], device=device)

    def loss(self, batch):
        """Return the sum of the losses of a batch (inputs, targets), and the number of utterances or frames summed over."""
        inputs, targets = batch
        return self.head.loss(*self(inputs), targets)

    @torch.no_grad()
    def measures(self, batches):
        """Return the mean loss over batches, as `dict(loss=…)`."""
        losses = [(float(loss), number) for loss, number in map(self.loss, batches)]
        return dict(loss=sum(loss for loss, _ in losses) / sum(number for _, number in losses))

    @torch.no_grad()
    def predict(self, inputs):
        """Return a list with one answer per input, in the form of its target."""
        return self.head.answers(*self(inputs))

    @torch.no_grad()
    def log_probabilities(self, inputs):
        """Return log probabilities in nats for each input, as a list of arrays `[T_i, 1 + symbols]`; only for heads with CTC."""
        logits, lengths = self(inputs)
        return [row[:length].cpu().numpy() for row, length in zip(logits.log_softmax(-1), lengths.tolist())]

    def num_trained(self):
        """Return the number of trained parameters, and how many of them change the encoder."""
        sizes = {name: parameter.numel() for name, parameter in self.named_parameters() if parameter.requires_grad}
        in_encoder = [size for name, size in sizes.items() if not name.startswith(NOT_IN_ENCODER)]
        return sum(sizes.values()), sum(in_encoder)


def build_model(encoder, *, tuning, head, num_outputs):
    """Return a `TaskModel` in evaluation mode, ready to be tuned.

    Args:
        encoder: folder of the encoder, such as results/encoders/NAME.
        tuning: dict with `method`, a key of `superb.tuning.METHODS`, and the settings of that method.
        head: dict with `architecture`, a key of `superb.heads.HEADS`, `normalize`, see `TaskModel`, and the settings of that head.
        num_outputs: list with the number of classes of each slot, or `[symbols]`, or `[speakers]`; see `superb.heads`.

    Raises:
        ValueError: if the method or the architecture is unknown.
    """
    trunk = load_trunk(encoder)
    settings = dict(head)
    architecture = settings.pop("architecture")
    normalize = settings.pop("normalize", False)  # tasks of earlier versions do not have it
    if architecture not in HEADS:
        raise data_error(
            "superb_heads",
            "'architecture' must be a head",
            expected=f"one of {sorted(HEADS)}",
            got=f"'{architecture}'",
            remedy=f"{nearest(architecture, HEADS)}correct it in the preset",
        )
    tuning_module = prepare(trunk, **tuning)
    hop_seconds = trunk.hop_length / trunk.sample_rate
    module = HEADS[architecture](trunk.dim, list(num_outputs), hop_seconds, **settings)
    return TaskModel(trunk, tuning_module, module, normalize).eval()


def tensors_of_seed(tensors, seed):
    """Return the tensors of one seed by their names in the model: `seed1.head.weight` becomes `head.weight`."""
    prefix = f"seed{seed}."
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def restore(model, tensors):
    """Load trained tensors into a new model.

    Args:
        model: a `TaskModel` with the settings of the trained one.
        tensors: dict from name to tensor, the result of `training.fit.trained_state` for the trained model.

    Raises:
        ValueError: if the model trains other tensors, or tensors of other shapes.
    """
    expected = _shapes(trained_state(model))
    given = _shapes(tensors)
    if expected != given:
        raise data_error(
            "tuned encoder",
            "the tensors must be those that the settings train",
            expected=f"{len(expected)} tensors",
            got=f"others: {sorted(set(expected.items()) ^ set(given.items()))[:4]}",
            remedy="train it again with these settings",
        )
    model.load_state_dict(tensors, strict=False)


def start_from(model, tensors):
    """Load only the head and the layer weights of another trained model.

    Args:
        model: a `TaskModel`.
        tensors: dict from name to tensor, the result of `training.fit.trained_state` for the other model.

    Raises:
        ValueError: if the heads have different tensors, or tensors of different shapes.
    """
    expected = _without_encoder(model.state_dict())
    given = _without_encoder(tensors)
    if _shapes(given) != _shapes(expected):
        raise data_error(
            "warm start",
            "the head to start from must have the same architecture and classes",
            expected=f"{sorted(expected)}",
            got=f"{sorted(given)}, or other sizes",
            remedy="name a task with the same head and labels in 'warm_start'",
        )
    model.load_state_dict(given, strict=False)


def _shapes(tensors):
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _without_encoder(tensors):
    return {name: tensor for name, tensor in tensors.items() if name.startswith(NOT_IN_ENCODER)}
