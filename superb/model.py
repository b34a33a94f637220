"""An encoder that solves a task: what is put into it, the weighted sum of its hidden states, a head."""

import torch
from torch import nn

from speech2unit.encoders import load_trunk
from storage.errors import data_error, nearest
from superb.heads import HEADS
from superb.hidden_states import batch_hidden_states
from superb.tuning import prepare

HEAD = ("head.", "layer_weights")  # how the names begin of what is no part of the encoder


class TaskModel(nn.Module):
    """`trunk`: the encoder; `inside`: what is put into it; `layer_weights` `[L + 1]`, a softmax over states; `head`.

    Inputs are waveforms `[N_i]` or cached hidden states `[L + 1, T_i, D]`, see `superb`. The trunk stays in evaluation mode.
    """

    def __init__(self, trunk, tuning_module, head):
        super().__init__()
        self.trunk = trunk
        self.inside = tuning_module  # in files, its tensors are named `inside.…`
        self.head = head
        self.layer_weights = nn.Parameter(torch.zeros(trunk.num_layers + 1))

    @property
    def tuning_module(self):
        """What is added to the encoder, an `EncoderTuning`."""
        return self.inside

    def train(self, mode=True):
        """See `nn.Module.train`."""
        super().train(mode)
        self.trunk.eval()
        return self

    def forward(self, inputs):
        """Logits and lengths, see `superb`. The head computes in float32 whatever the encoder does."""
        states, lengths = self.states(inputs)
        with torch.autocast(states.device.type, enabled=False):
            return self.head(torch.einsum("l,lbtd->btd", self.layer_weights.softmax(0), states), lengths)

    def states(self, inputs):
        """Hidden states `[L + 1, B, T, D]`, frames `[B]`."""
        if inputs[0].ndim == 1:
            return batch_hidden_states(self.trunk, self.tuning_module, inputs)
        device = self.layer_weights.device
        cached = [torch.as_tensor(each, dtype=torch.float32, device=device).transpose(0, 1) for each in inputs]
        padded = nn.utils.rnn.pad_sequence(cached, batch_first=True)
        return padded.permute(2, 0, 1, 3), torch.tensor([len(each) for each in cached], device=device)

    def loss(self, batch):
        """(inputs, targets) → sum of the losses, and over how many utterances (or frames, in diarization) it is."""
        inputs, targets = batch
        return self.head.loss(*self(inputs), targets)

    @torch.no_grad()
    def measures(self, batches):
        """Mean loss over batches."""
        losses = [(float(loss), number) for loss, number in map(self.loss, batches)]
        return dict(loss=sum(loss for loss, _ in losses) / sum(number for _, number in losses))

    @torch.no_grad()
    def predict(self, inputs):
        """For each input what its target would be."""
        return self.head.answers(*self(inputs))

    @torch.no_grad()
    def log_probabilities(self, inputs):
        """Arrays `[T_i, 1 + symbols]` of heads with CTC."""
        logits, lengths = self(inputs)
        return [row[:length].cpu().numpy() for row, length in zip(logits.log_softmax(-1), lengths.tolist())]

    def num_trained(self):
        """Trained parameters: (all of them, those among them that change the encoder)."""
        trained = {name: parameter.numel() for name, parameter in self.named_parameters() if parameter.requires_grad}
        return sum(trained.values()), sum(number for name, number in trained.items() if not name.startswith(HEAD))


def build_model(encoder, *, tuning, head, num_outputs):
    """The encoder in a folder, ready to be tuned; in evaluation mode.

    tuning: `method` and the settings of that method of `superb.tuning.METHODS`; head: `architecture` and the settings of that one
    of `superb.heads.HEADS`; num_outputs: see `superb`. Raises `ValueError` for unknown names.
    """
    trunk, (architecture, settings) = load_trunk(encoder), _named(head)
    tuning_module = prepare(trunk, **tuning)
    hop_seconds = trunk.hop_length / trunk.sample_rate
    return TaskModel(trunk, tuning_module, HEADS[architecture](trunk.dim, list(num_outputs), hop_seconds, **settings)).eval()


def _named(head):
    settings = dict(head)
    architecture = settings.pop("architecture")
    if architecture not in HEADS:
        raise data_error(
            "head",
            "'architecture' names a head",
            expected=f"one of {sorted(HEADS)}",
            got=f"'{architecture}'",
            remedy=f"{nearest(architecture, HEADS)}correct the preset in config/config.yaml",
        )
    return architecture, settings


def restore(model, tensors):
    """Fill in what was trained, from `training.fit.trained_state` of such a model. Raises `ValueError` for another one's."""
    from training.fit import trained_state

    wanted, got = ({name: tuple(t.shape) for name, t in each.items()} for each in (trained_state(model), tensors))
    if wanted != got:
        raise data_error(
            "tuned encoder",
            "what was trained must be what the settings say",
            expected=f"{len(wanted)} tensors",
            got=f"others: {sorted(set(wanted.items()) ^ set(got.items()))[:4]}",
            remedy="train it again with these settings",
        )
    model.load_state_dict(tensors, strict=False)


def start_from(model, tensors):
    """Start the head and the weights of the layers from those of another model that was trained (`trained_state`).

    Raises `ValueError` where it has another head.
    """
    found = {name: tensor for name, tensor in tensors.items() if name.startswith(HEAD)}
    restore_names = {name: tensor for name, tensor in model.state_dict().items() if name.startswith(HEAD)}
    if {n: t.shape for n, t in found.items()} != {n: t.shape for n, t in restore_names.items()}:
        raise data_error(
            "warm start",
            "the head to start from must be of the same architecture and classes",
            expected=f"{sorted(restore_names)}",
            got=f"{sorted(found)}, or other sizes",
            remedy="name a task with the same head and labels",
        )
    model.load_state_dict(found, strict=False)
