"""Training: one loop for all models, checkpoints, worker processes, devices and precision, dropout."""
