"""Devices and numerical precision."""

import os


def choose_device(index=0):
    """Return a GPU if there is one, else the CPU.

    Args:
        index: number of the job. Jobs use the GPUs in turn: job i uses GPU i modulo the number of GPUs. Under torchrun, the
            process's own local rank is used instead.

    Returns:
        A `torch.device`.
    """
    import torch

    num_gpus = torch.cuda.device_count()
    index = int(os.environ.get("LOCAL_RANK", index))
    return torch.device(f"cuda:{index % num_gpus}" if num_gpus else "cpu")


def mixed_precision(device):
    """Return a context in which matrix products are in bfloat16 if the device supports it: GPUs, and CPUs with AVX512-BF16."""
    import torch

    return torch.autocast(device.type, torch.bfloat16, enabled=_supports_bfloat16(device))


def cast_frozen(model, device):
    """Convert the frozen linear layers to bfloat16 once, if `mixed_precision` would otherwise cast them at every use.

    The results in that context stay the same, bit for bit. An update of a prompt takes a fifth less time.

    Args:
        model: `torch.nn.Module`, changed in place.
        device: device on which it computes.
    """
    import torch

    for module in model.modules() if _supports_bfloat16(device) else []:
        if isinstance(module, torch.nn.Linear) and not any(parameter.requires_grad for parameter in module.parameters()):
            module.bfloat16()


def attention(queries, keys, values, **options):
    """Return scaled dot-product attention.

    On a CPU it is computed in float32, because its backward pass in bfloat16 is ten times slower.

    Args:
        queries, keys, values: tensors `[B, H, T, D]`.
        options: other arguments of `torch.nn.functional.scaled_dot_product_attention`.

    Returns:
        Tensor `[B, H, T, D]`.
    """
    import torch
    import torch.nn.functional as F

    if queries.device.type != "cpu":
        return F.scaled_dot_product_attention(queries, keys, values, **options)
    with torch.autocast("cpu", enabled=False):
        return F.scaled_dot_product_attention(queries.float(), keys.float(), values.float(), **options)


def _supports_bfloat16(device):
    """Return whether a device multiplies matrices in bfloat16."""
    import torch

    return device.type == "cuda" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
