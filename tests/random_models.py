"""Small transformers, and random weights for any model."""

import torch

from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from speech2unit.encoders.models.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model
from speech2unit.encoders.models.wav2vec2_bert import Wav2Vec2BertConfig, Wav2Vec2BertModel
from speech2unit.encoders.models.whisper import WhisperConfig, WhisperModel

HUBERT = dict(
    conv_layers=[[8, 10, 5], [8, 8, 8], [8, 8, 8]],
    conv_bias=False,
    conv_norm="group",
    normalize_waveform=False,
    pre_norm=False,
    num_layers=2,
    dim=16,
    ffn_dim=24,
    num_heads=4,
    pos_conv_kernel=4,
    pos_conv_groups=2,
    num_buckets=0,
    max_distance=0,
)
WHISPER = dict(num_mels=80, num_positions=600, num_layers=2, dim=16, ffn_dim=24, num_heads=4, padded=False, final_norm=False)
# Functions that build a transformer with two blocks, each with four heads, 16 dimensions and 24 feed-forward rows.
TRANSFORMERS = dict(
    melhubert=lambda: MelHuBERTModel(MelHuBERTConfig(2, 16, 24, 4, 4, 2, (5,))),
    hubert=lambda: Wav2Vec2Model(Wav2Vec2Config(**HUBERT)),
    wavlm=lambda: Wav2Vec2Model(Wav2Vec2Config(**HUBERT | dict(num_buckets=8, max_distance=20))),
    large=lambda: Wav2Vec2Model(Wav2Vec2Config(**HUBERT | dict(pre_norm=True))),
    whisper=lambda: WhisperModel(WhisperConfig(**WHISPER)),
    conformer=lambda: Wav2Vec2BertModel(Wav2Vec2BertConfig(2, 16, 24, 4, 3, 4, 2)),
)


def with_random_weights(model):
    """Give a model random weights, the same in each run, and set it to inference.

    Matrices keep the scale of their inputs, norms are near 1, and no weight is 0, so that no layer's output vanishes.
    """
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            values = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim > 1:
                parameter.copy_(values * 1.5 / max(parameter[0].numel(), 1) ** 0.5)
            else:
                parameter.copy_(0.3 * values + (1 if name.endswith("weight") else 0))
    return model.eval()
