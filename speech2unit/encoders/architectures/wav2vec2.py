"""Published transformer encoders over the waveform: wav2vec 2.0, HuBERT, WavLM, UniSpeech, UniSpeech-SAT, data2vec and SEW.

Layer 0 is the input of the first block, layer i the output of block i. The layer norm that some models have after the last
block is never applied, and neither are the layers with which SEW doubles its frame rate again. These are the layers of
fairseq's `output_layer` and of torchaudio's `extract_features`.
"""

import torch
from torch import nn

from speech2unit.encoders.models import wav2vec2_names
from speech2unit.encoders.models.compressed_layers import resize
from speech2unit.encoders.models.frame_encoder import FrameEncoder, FrameTrunk, load_model
from speech2unit.encoders.models.loading import keep_blocks, sizes_from
from speech2unit.encoders.models.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model

OBJECTIVE = "parent_states"
convert = wav2vec2_names.convert
sizes_from_transformers = wav2vec2_names.sizes_from_transformers
sizes_from_preprocessor = wav2vec2_names.sizes_from_preprocessor


def build_model(settings, dropout=0.0):
    """Return a model without weights, with the sizes in an encoder's config.json."""
    model = Wav2Vec2Model(sizes_from(settings, Wav2Vec2Config), dropout)
    return resize(model, settings.get("layers", []))


def build_student(settings, dropout):
    """Return a model that can learn from a teacher of this architecture; arguments as `build_model`.

    As in fairseq's training code, the positional convolution before the first block has weight norm, and there is a mask
    embedding. Nothing is ever masked, but published checkpoints contain the embedding.
    """
    model = build_model(settings, dropout)
    if model.pos_conv is not None:
        nn.utils.parametrizations.weight_norm(model.pos_conv, dim=2)
    model.mask_emb = nn.Parameter(torch.zeros(model.config.dim))
    return model


def load(folder, device):
    """Return the encoder saved in `folder`."""
    return load_trainable(folder, device).prepare()


def load_trainable(folder, device):
    """Return the encoder saved in `folder`, which can be trained."""
    return FrameEncoder(load_model(folder, build_model), device)


def load_trunk(folder):
    """Return the encoder saved in `folder` as a `Trunk`."""
    return FrameTrunk(load_model(folder, build_model))


def keep_layers(settings, tensors, layer):
    """Return the settings and the tensors that the layers up to `layer` need."""
    return keep_blocks(settings, tensors, layer, "blocks.")


def encoder_with(model, folder, device):
    """Return the encoder of `model`; the folder is not read, as all tensors are the model's."""
    return FrameEncoder(model, device)


def trunk_with(model, folder):
    """Return the trunk of `model`; the folder is not read, as all tensors are the model's."""
    return FrameTrunk(model)
