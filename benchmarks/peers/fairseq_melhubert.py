"""MelHuBERT as in its authors' code: a projection, fairseq's layers, and a head that reads only the masked frames.

The names in the state dict are those of the authors' checkpoints.

**Source:** https://github.com/nervjack2/MelHuBERT.
"""

import torch
import torch.nn.functional as F
from torch import nn


class FairseqMelHuBERT(nn.Module):
    """MelHuBERT with random weights, for one set of targets."""

    def __init__(self, sizes, dropout, seed):
        """Create the model.

        Args:
            sizes: dict of the fields of `speech2unit.encoders.models.melhubert.MelHuBERTConfig`.
            dropout: dropout probability.
            seed: seed of the weights.
        """
        from fairseq.models.wav2vec.wav2vec2 import TransformerEncoder, Wav2Vec2Config

        super().__init__()
        torch.manual_seed(seed)
        config = Wav2Vec2Config(
            encoder_layers=sizes["num_layers"],
            encoder_embed_dim=sizes["dim"],
            encoder_ffn_embed_dim=sizes["ffn_dim"],
            encoder_attention_heads=sizes["num_heads"],
            conv_pos=sizes["conv_kernel"],
            conv_pos_groups=sizes["conv_groups"],
            dropout=dropout,
            attention_dropout=dropout,
            activation_dropout=dropout,
            encoder_layerdrop=0.0,
        )
        self.pre_extract_proj = nn.Linear(4 * sizes["frame_ms"], sizes["dim"])
        self.encoder = TransformerEncoder(config)
        self.final_proj = nn.Linear(sizes["dim"], sizes["num_targets"][0])
        with torch.no_grad():
            for name, parameter in self.encoder.named_parameters():
                if parameter.ndim == 1 or "weight_g" in name:
                    parameter.add_(0.1 * torch.randn(parameter.shape))

    def forward(self, frames, lengths=None):
        """Return the last hidden states `[B, T, D]` for frames `[B, T, 80]`, and a list with the hidden states of each layer."""
        padding = None if lengths is None else torch.arange(frames.shape[1])[None] >= lengths[:, None]
        last, layers = self.encoder(self.pre_extract_proj(frames), padding)
        return last, [states[0].transpose(0, 1)[:, : frames.shape[1]] for states in layers]

    def loss(self, batch):
        """Return the summed cross entropy of the masked frames in nats, and the number of these frames.

        Args:
            batch: the result of `speech2unit.recipes.masked_frames.collate`.
        """
        frames, lengths, targets, mask = batch
        logits = self.final_proj(self(frames, lengths)[0][mask])
        return F.cross_entropy(logits, targets[..., 0][mask], reduction="sum"), int(mask.sum())
