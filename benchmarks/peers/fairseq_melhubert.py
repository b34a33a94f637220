"""MelHuBERT as its authors compute it: fairseq's layers behind one projection, the head on masked frames alone.

**Source:** MelHuBERT, https://github.com/nervjack2/MelHuBERT; state dicts have the names of its checkpoints.
"""

import torch
import torch.nn.functional as F
from torch import nn


class FairseqMelHuBERT(nn.Module):
    """sizes: fields of `speech2unit.encoders.architectures.melhubert.MelHuBERTConfig`, with one set of targets. Every tensor is random."""

    def __init__(self, sizes, dropout, seed):
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
        """Frames `[B, T, 80]` → last hidden states `[B, T, D]`, and the list of each layer's `[B, T, D]`."""
        padding = None if lengths is None else torch.arange(frames.shape[1])[None] >= lengths[:, None]
        last, layers = self.encoder(self.pre_extract_proj(frames), padding)
        return last, [states[0].transpose(0, 1)[:, : frames.shape[1]] for states in layers]

    def loss(self, batch):
        """Summed cross entropy (nats) of masked frames, and their number; batch: see `speech2unit.recipes.pretrain_melhubert.collate`."""
        frames, lengths, targets, mask = batch
        logits = self.final_proj(self(frames, lengths)[0][mask])
        return F.cross_entropy(logits, targets[..., 0][mask], reduction="sum"), int(mask.sum())
