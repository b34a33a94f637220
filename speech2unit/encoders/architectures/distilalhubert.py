"""DistilALHuBERT: a few transformer layers of a teacher, run in turn several times over, so that few weights make many layers.

    model = encoders.load("results/encoders/distilalhubert_mixed")
    found = model(waveforms)    # list of 16 kHz waveforms [N_i], float32
    found.last_hidden_state     # [B, T, D]
    found.hidden_states         # a list of them, one a pass: 12 of 2 × 6, 3 × 4 and 4 × 3 layers
    found.lengths               # [B]: frames of each row that are real

**Source:** DistilALHuBERT, whose 2 × 6, 3 × 4 and 4 × 3 layers of HuBERT Base have the published 23,492,992, 30,580,864 and
37,668,736 parameters. The mask embedding counts among these, though nothing is ever masked. Teachers other than HuBERT Base
are ours. With norms before each part (`pre_norm`) states are what blocks put out, where the published code normalises them.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from speech2unit.encoders.architectures.melhubert import MelHuBERT, MelHuBERTTrunk, read_front_end
from speech2unit.encoders.architectures.wav2vec2 import Wav2Vec2, Wav2Vec2Trunk
from speech2unit.encoders.models import wav2vec2_names
from speech2unit.encoders.models.compressed_layers import resize
from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from speech2unit.encoders.models.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model
from storage.errors import data_error
from storage.files import read_json
from storage.weights import load_tensors

BODIES = dict(  # architecture of the teacher → sizes, model, where its blocks are
    melhubert=(MelHuBERTConfig, MelHuBERTModel, "layers"), wav2vec2=(Wav2Vec2Config, Wav2Vec2Model, "blocks")
)
FRONT_END = ("mean", "std")  # tensors of a MelHuBERT's file that are not the model's


class Repeated(nn.ModuleList):
    """Blocks that pass for `num_repeats` times as many: the whole set in turn, again and again."""

    num_repeats = 1

    def __init__(self, blocks, num_repeats):
        super().__init__(blocks)
        self.num_repeats = num_repeats

    def __len__(self):
        return len(self._modules) * self.num_repeats

    def __iter__(self):
        return iter(list(self._modules.values()) * self.num_repeats)

    def __getitem__(self, index):
        return list(self)[index]


class HiddenStates(NamedTuple):
    """What a model says of a batch; see the top of this file."""

    last_hidden_state: torch.Tensor
    hidden_states: list
    lengths: torch.Tensor


class DistilALHuBERT:
    """The encoder; see `speech2unit.encoders.Encoder`."""

    def __init__(self, body, num_repeats):
        self.body, self.model = body, body.model
        self.sample_rate, self.hop_length, self.dim = body.sample_rate, body.hop_length, body.dim
        self.num_layers = body.num_layers * num_repeats

    def features(self, waveforms, layer):
        """See `Encoder.features`; layer i is the output of the i-th pass, whichever block it goes through."""
        return self.body.features(waveforms, layer)

    @torch.no_grad()
    def __call__(self, waveforms):
        """List of 16 kHz waveforms `[N_i]` → `HiddenStates`."""
        (_, *states), lengths = self.body.hidden_states(waveforms)
        return HiddenStates(states[-1], states, lengths)


def build(settings, dropout=0.0):
    """The model that an encoder's settings (its config.json) describe, with nothing in it; `num_layers` counts those that differ."""
    sizes, model, blocks = BODIES[settings["body"]]
    student = model(sizes(**{name: settings[name] for name in sizes.__dataclass_fields__ if name in settings}), dropout)
    student = resize(student, settings.get("layers", []))  # of a teacher that was pruned or factorised
    setattr(student, blocks, Repeated(getattr(student, blocks), settings["num_repeats"]))
    if settings["body"] == "wav2vec2":
        nn.utils.parametrizations.weight_norm(student.pos_conv, dim=2)
        student.mask_emb = nn.Parameter(torch.zeros(student.config.dim))
    return student


def encoder_of(model, front_end, device):
    """The encoder of the body around `model`, which can still be trained. `front_end`: of a MelHuBERT, else None."""
    return MelHuBERT(model, front_end, device) if front_end else Wav2Vec2(model, device)


def load(folder, device):
    """The encoder in `folder`."""
    model, front_end, settings = _read(folder)
    body = MelHuBERT(model, front_end, device) if front_end else Wav2Vec2(model.to(device).prepare(), device)
    return DistilALHuBERT(body, settings["num_repeats"])


def load_trunk(folder):
    """The encoder in `folder` as a `Trunk`; a block is one of its modules, however often it is passed."""
    model, front_end, _ = _read(folder)
    return MelHuBERTTrunk(model, front_end) if front_end else Wav2Vec2Trunk(model)


def _read(folder):
    """The model in `folder`, the front end of a MelHuBERT (else None), and the settings."""
    settings = read_json(Path(folder) / "config.json")
    tensors = load_tensors(Path(folder) / "model.safetensors")
    model = build(settings)  # not on the meta device: drawing from a normal distribution there brings torch._dynamo in, 100 MB
    model.load_state_dict({name: t for name, t in tensors.items() if name not in FRONT_END}, assign=True)
    return model, read_front_end(folder) if settings["body"] == "melhubert" else None, settings


def convert(tensors, sizes):
    """Tensors of a published checkpoint (the entry `alhubert`) → by our names, and rows of a load report.

    sizes: the fields of `Wav2Vec2Config`, `body` and `num_repeats`. Raises `ValueError` as `wav2vec2_names.convert` does.
    """
    if "mask_emb" not in tensors:
        raise data_error(
            "distilalhubert checkpoint",
            "its tensors must be those of the architecture",
            expected="a tensor 'mask_emb'",
            got="none",
            remedy="take the publisher's file, see config/checkpoints.tsv",
        )
    found, rows = wav2vec2_names.convert(tensors, {name: sizes[name] for name in Wav2Vec2Config.__dataclass_fields__})
    weight, place = found.pop("pos_conv.weight"), "pos_conv.parametrizations.weight.original"
    found |= {f"{place}0": weight.norm(dim=(0, 1), keepdim=True), f"{place}1": weight, "mask_emb": tensors["mask_emb"].float()}
    return found, [row | dict(name="mask_emb") if row["source"] == "mask_emb" else row for row in rows]
