"""Wav2Vec2-BERT (w2v-BERT 2.0): log-Mel frames, then a conformer whose convolutions see no later frame.

**Source:** Seamless Communication 2023, arXiv 2312.05187, section 3.2.1; the code of transformers.
"""

from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from speech2unit.encoders.models.fast_layers import Linear
from speech2unit.encoders.models.frame_transformer import FrameTransformer
from speech2unit.encoders.models.log_mel import HOP_SAMPLES, MIN_SAMPLES, SHIFT_SAMPLES, kaldi_frames, num_log_mel_frames
from speech2unit.encoders.models.transformer import TransformerBlock
from storage.errors import data_error
from training.dropout import Dropout

NUM_MELS = 80
STEP = 2  # log-Mel frames of 10 ms that make one frame


@dataclass(frozen=True)
class Wav2Vec2BertConfig:
    """Sizes of a model, which are read from transformers' config.json."""

    num_layers: int
    dim: int
    ffn_dim: int
    num_heads: int
    conv_kernel: int  # frames that the convolution of a block sees: the current one and those before it
    max_left: int  # frames to the left beyond which all distances share a position
    max_right: int

    hop_length = HOP_SAMPLES
    min_samples = MIN_SAMPLES + SHIFT_SAMPLES

    def num_frames(self, num_samples):
        """Return the number of frames of a waveform of `num_samples` samples."""
        return num_log_mel_frames(num_samples) // STEP

    def __post_init__(self):
        if self.dim % self.num_heads:
            raise data_error(
                "wav2vec2_bert sizes",
                "each head must have a whole number of channels",
                expected=f"a divisor of dim {self.dim}",
                got=f"num_heads {self.num_heads}",
                remedy="take the sizes of the checkpoint",
            )


def log_mel_pairs(waveform):
    """Return the input of the model, which equals that of transformers' `SeamlessM4TFeatureExtractor`.

    Each log-Mel bin has mean 0 and variance 1 over the utterance. A last frame of 10 ms without a partner is left out;
    transformers masks it.

    Args:
        waveform: float32 `[N]` in [-1, 1] at 16 kHz, N ≥ 560.

    Returns:
        float32 `[T, 160]`, every 20 ms.
    """
    mel = kaldi_frames(waveform.double(), scale=2**15, num_mel_bins=NUM_MELS, window_type="povey", dither=0.0)
    variance, mean = torch.var_mean(mel, 0)
    normalized = (mel - mean) * torch.rsqrt(variance + 1e-7)
    num_pairs = len(mel) // STEP
    return normalized[: num_pairs * STEP].reshape(num_pairs, -1).float()


class FrontEnd(nn.Module):
    """Compute the frames of a waveform: pairs of log-Mel frames, a layer norm and a projection."""

    def __init__(self, config):
        super().__init__()
        self.frame_norm = nn.LayerNorm(STEP * NUM_MELS)
        self.projection = Linear(STEP * NUM_MELS, config.dim)

    def forward(self, waveform):
        """Return the frames `[T, D]` of a waveform `[N]`. The filter bank runs on the CPU."""
        return self.projection(self.frame_norm(log_mel_pairs(waveform.cpu()).to(waveform.device)))


class CausalConv(nn.Module):
    """Convolutional part of a block: a gate, then one filter per channel that sees the frame and those before it."""

    def __init__(self, config):
        super().__init__()
        self.norm = nn.LayerNorm(config.dim)
        self.gate = Linear(config.dim, 2 * config.dim, bias=False)
        self.depthwise = nn.Conv1d(config.dim, config.dim, config.conv_kernel, groups=config.dim, bias=False)
        self.depthwise_norm = nn.LayerNorm(config.dim)
        self.out = Linear(config.dim, config.dim, bias=False)

    def forward(self, x):
        """Return the output for `x` `[B, T, D]`. Padding follows the frames, so they never see it."""
        x = F.glu(self.gate(self.norm(x)))
        x = F.pad(x.transpose(1, 2), (self.depthwise.kernel_size[0] - 1, 0))
        return self.out(F.silu(self.depthwise_norm(self.depthwise(x).transpose(1, 2))))


class Block(TransformerBlock):
    """Conformer block: feed-forward part, attention, convolution, feed-forward part, layer norm.

    `fc1` and `fc2` are those of the second feed-forward part.
    """

    QKV = ("qkv",)
    OUTPUT = "out"
    FEED_FORWARD = ("fc1", "fc2", "first_fc1", "first_fc2")

    def __init__(self, config, dropout):
        super().__init__()
        self.num_heads = config.num_heads
        self.max_left = config.max_left
        self.max_right = config.max_right
        self.dropout = Dropout(dropout)
        self.first_norm = nn.LayerNorm(config.dim)
        self.first_fc1 = Linear(config.dim, config.ffn_dim)
        self.first_fc2 = Linear(config.ffn_dim, config.dim)
        self.attention_norm = nn.LayerNorm(config.dim)
        self.qkv = Linear(config.dim, 3 * config.dim)
        self.out = Linear(config.dim, config.dim)
        self.distances = nn.Parameter(torch.empty(config.max_left + config.max_right + 1, config.dim // config.num_heads))
        self.conv = CausalConv(config)
        self.ffn_norm = nn.LayerNorm(config.dim)
        self.fc1 = Linear(config.dim, config.ffn_dim)
        self.fc2 = Linear(config.ffn_dim, config.dim)
        self.final_norm = nn.LayerNorm(config.dim)

    def attend(self, x, attention_mask):
        """Return the output of attention.

        Args:
            x: `[B, T, D]`.
            attention_mask: boolean `[B, 1, 1, T]`, True for frames to attend to; None: all.
        """
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        scores = (q @ k.transpose(2, 3) + self.position_scores(q)) / q.shape[-1] ** 0.5
        if attention_mask is not None:
            scores = scores.masked_fill(~attention_mask, -torch.inf)
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))

    def position_scores(self, q):
        """Return what is added to the products of queries and keys, `[B, H, T, T]`, for queries `[B, H, T, D / H]`.

        It depends on the query and on the distance from query to key.
        """
        frames = torch.arange(q.shape[2], device=q.device)
        distances = (frames - frames[:, None]).clamp(-self.max_left, self.max_right) + self.max_left
        return (q @ self.distances.T).gather(-1, distances.expand(*q.shape[:2], -1, -1))

    def forward(self, x, attention_mask):
        """Return the output `[B, T, D]` of the block; arguments as `attend`."""
        x = x + self.dropout(self.first_fc2(F.silu(self.first_fc1(self.first_norm(x)))) / 2)
        x = x + self.dropout(self.attend(self.attention_norm(x), attention_mask))
        x = x + self.dropout(self.conv(x))
        x = x + self.dropout(self.fc2(F.silu(self.fc1(self.ffn_norm(x)))) / 2)
        return self.final_norm(x)


class Wav2Vec2BertModel(FrameTransformer):
    """Compute the hidden states of frames, which `front_end` computes from waveforms."""

    def __init__(self, config, dropout=0.0):
        """Create a model without trained weights; `config`: a `Wav2Vec2BertConfig`, `dropout`: probability of dropout."""
        super().__init__()
        self.config = config
        self.dropout = Dropout(dropout)
        self.front_end = FrontEnd(config)
        self.blocks = nn.ModuleList(Block(config, dropout) for _ in range(config.num_layers))

    def embed(self, x):
        """See `FrameTransformer.embed`."""
        return self.dropout(x)

    def layer_functions(self, num_frames, valid_mask=None, last_layer=None):
        """See `FrameTransformer.layer_functions`."""
        attention_mask = None if valid_mask is None else valid_mask[:, None, None]
        return [partial(block, attention_mask=attention_mask) for block in self.blocks[:last_layer]]
