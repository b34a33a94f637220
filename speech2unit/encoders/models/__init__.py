"""Models of encoders as plain PyTorch modules, their layers, and the tensor names of published checkpoints."""
