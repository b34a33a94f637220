"""One training loop for everything that is trained: optimiser steps, checkpoints, worker processes, devices, dropout."""
