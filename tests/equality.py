"""Assertions that two results are equal."""

import torch


def assert_same_tensors(first, second):
    """Check that two dictionaries of tensors have the same names and, bit for bit, the same values."""
    assert set(first) == set(second)
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), f"{name} differs"
