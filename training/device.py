"""Where and how precisely models run."""

import os


def choose_device(index=0):
    """`cuda:i` where there are GPUs (job `index` takes GPU `index` modulo their number, and of processes that torchrun
    started each its own), else `cpu`.
    """
    import torch

    count = torch.cuda.device_count()
    index = int(os.environ.get("LOCAL_RANK", index))
    return torch.device(f"cuda:{index % count}" if count else "cpu")


def mixed_precision(device):
    """Context in which matrix products are in bfloat16, where the device computes with it: GPUs, and CPUs with AVX512-BF16."""
    import torch

    return torch.autocast(device.type, torch.bfloat16, enabled=_multiplies_in_bfloat16(device))


def cast_frozen(model, device):
    """Make the linear maps of which nothing is trained bfloat16, where `mixed_precision` casts them at every use.

    What is computed within that context stays the same, bit for bit; an update of a prompt takes a fifth less.
    """
    import torch

    for module in model.modules() if _multiplies_in_bfloat16(device) else []:
        if isinstance(module, torch.nn.Linear) and not any(p.requires_grad for p in module.parameters()):
            module.bfloat16()


def attention(queries, keys, values, **options):
    """Scaled dot-product attention of `[B, H, T, D]`; on a CPU in float32, whose backward pass in bfloat16 is ten times slower."""
    import torch
    import torch.nn.functional as F

    if queries.device.type != "cpu":
        return F.scaled_dot_product_attention(queries, keys, values, **options)
    with torch.autocast("cpu", enabled=False):
        return F.scaled_dot_product_attention(queries.float(), keys.float(), values.float(), **options)


def _multiplies_in_bfloat16(device):
    import torch

    return device.type == "cuda" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
