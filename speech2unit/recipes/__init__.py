"""Ways to make an encoder: pre-training, pruning, low-rank factorisation, distillation."""
