"""DistilALHuBERT: a few transformer blocks that run several times in turn, so that few weights make many layers.

    encoder = encoders.load("results/encoders/distilalhubert_2x6")
    output = encoder(waveforms)  # list of float32 arrays [N_i] at 16 kHz
    output.last_hidden_state     # [B, T, D]
    output.hidden_states         # list of [B, T, D], one per layer: 12 for 2 × 6, 3 × 4 and 4 × 3 blocks
    output.lengths               # [B]: number of frames of each waveform; what follows is padding

With HuBERT Base as the teacher, 2 × 6, 3 × 4 and 4 × 3 blocks have the published 23,492,992, 30,580,864 and 37,668,736
parameters. These include the mask embedding, although nothing is ever masked. There are two deviations. Teachers other than
HuBERT Base are possible. In models with norms before each part (`pre_norm`), the student learns the outputs of the teacher's
blocks, and `last_hidden_state` is such an output, while the published code normalizes both.

**Source:** DistilALHuBERT.
"""

from typing import NamedTuple

import torch
from torch import nn

from speech2unit.encoders.architectures import melhubert, wav2vec2, wav2vec2_bert, whisper
from speech2unit.encoders.models import wav2vec2_names
from speech2unit.encoders.models.loading import load_weights, read_settings
from speech2unit.encoders.models.wav2vec2 import Wav2Vec2Config
from storage.errors import data_error

# Architecture of the teacher (`body` in config.json) → its module.
BODIES = dict(melhubert=melhubert, wav2vec2=wav2vec2, wav2vec2_bert=wav2vec2_bert, whisper=whisper)


class RepeatedBlocks(nn.ModuleList):
    """Blocks that run `num_repeats` times in turn. As a list it has `num_repeats` times as many; parameters count once."""

    num_repeats = 1  # until __init__ has registered the blocks

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
    """What `DistilALHuBERT` returns for a batch; see the top of this file."""

    last_hidden_state: torch.Tensor
    hidden_states: list
    lengths: torch.Tensor


class DistilALHuBERT:
    """An encoder with repeated blocks; see `speech2unit.encoders.Encoder`. Layer i is the output of the i-th block that runs."""

    def __init__(self, encoder):
        """`encoder`: a `MelHuBERT` or `FrameEncoder` whose model has repeated blocks."""
        self.encoder = encoder
        self.model = encoder.model
        self.sample_rate = encoder.sample_rate
        self.hop_length = encoder.hop_length
        self.dim = encoder.dim
        self.num_layers = encoder.num_layers

    def features(self, waveforms, layer):
        """See `Encoder.features`."""
        return self.encoder.features(waveforms, layer)

    def num_frames(self, num_samples):
        """See `Encoder.num_frames`."""
        return self.encoder.num_frames(num_samples)

    @torch.no_grad()
    def __call__(self, waveforms):
        """Return the `HiddenStates` of a list of waveforms `[N_i]` at 16 kHz."""
        (_, *states), lengths = self.encoder.hidden_states(waveforms)
        return HiddenStates(states[-1], states, lengths)


def build_model(settings, dropout=0.0):
    """Return a model without trained weights, with the sizes in an encoder's config.json.

    Args:
        settings: `body`, `num_repeats` and the sizes of the body, in which `num_layers` is the number of different blocks. If the
            teacher was pruned or factorized, `layers` has the sizes of its blocks.
        dropout: probability of dropout.
    """
    model = BODIES[settings["body"]].build_student(settings, dropout)
    repeat_blocks(model, settings["num_repeats"])
    return model


def repeat_blocks(model, num_repeats):
    """Make the blocks of a model run `num_repeats` times in turn. The names of its tensors stay the same."""
    name = next(name for name, module in model.named_children() if module is model.blocks)
    setattr(model, name, RepeatedBlocks(model.blocks, num_repeats))


def load(folder, device):
    """Return the encoder saved in `folder`."""
    body, model = _load_body(folder)
    encoder = body.encoder_with(model, folder, device)
    encoder.model.prepare()
    return DistilALHuBERT(encoder)


def load_trunk(folder):
    """Return the encoder saved in `folder` as a `Trunk`. Its `blocks` has each repeated block once."""
    body, model = _load_body(folder)
    return body.trunk_with(model, folder)


def convert(tensors, sizes):
    """Convert the tensors of a published checkpoint (its entry `alhubert`).

    Args:
        tensors: dict from published name to tensor.
        sizes: dict of the fields of `Wav2Vec2Config`, `body` and `num_repeats`.

    Returns:
        A dict from our name to tensor, and the rows of a load report.

    Raises:
        ValueError: if tensors, such as the mask embedding, are missing, unexpected or of another shape.
    """
    if "mask_emb" not in tensors:
        raise data_error(
            "distilalhubert checkpoint",
            "its tensors must be those of the architecture",
            expected="a tensor 'mask_emb'",
            got="none",
            remedy="take the publisher's file, see config/checkpoints.tsv",
        )
    body_sizes = {name: sizes[name] for name in Wav2Vec2Config.__dataclass_fields__ if name in sizes}
    converted, rows = wav2vec2_names.convert(tensors, body_sizes)
    weight = converted.pop("pos_conv.weight")
    converted["pos_conv.parametrizations.weight.original0"] = weight.norm(dim=(0, 1), keepdim=True)
    converted["pos_conv.parametrizations.weight.original1"] = weight
    converted["mask_emb"] = tensors["mask_emb"].float()
    return converted, [row | dict(name="mask_emb") if row["source"] == "mask_emb" else row for row in rows]


def _load_body(folder):
    """Return the module of the body's architecture and the model saved in `folder`."""
    settings = read_settings(folder)
    # Not on the meta device: drawing random weights there imports torch._dynamo, which takes 100 MB.
    model = load_weights(build_model(settings), folder, assign=True)
    return BODIES[settings["body"]], model
