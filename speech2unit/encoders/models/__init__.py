"""Encoder models as plain PyTorch modules, with the tensor names of published checkpoints."""
