"""One step of masked pre-training at the published size, forward and backward, and the fraction of the machine's peak.

Ours runs as in training, with matrix products in bfloat16 if the processor supports it. The peer is the code of MelHuBERT's
authors: fairseq's layers in float32. Both are timed with dropout. Without dropout and in float32, their losses and gradients must
agree.
"""

import os

import numpy as np
import torch

from benchmarks.peers.fairseq_melhubert import FairseqMelHuBERT
from benchmarks.side_by_side import compare
from speech2unit.encoders.architectures.melhubert import convert
from speech2unit.encoders.models.log_mel import NUM_MELS
from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from speech2unit.recipes.masked_frames import collate, masked_loss
from training.device import mixed_precision
from workflow.scripts.config_files import default_config

NUM_CROPS = 2
NUM_RUNS = 3
COMPARED = {  # our name of a parameter → the peer's name
    "post_extract_proj.weight": "pre_extract_proj.weight",
    "layers.0.q_proj.weight": "encoder.layers.0.self_attn.q_proj.weight",
}


def step(model, loss):
    """Return the loss per masked frame, and the gradients of all parameters by name."""
    model.zero_grad(set_to_none=True)
    total, num_targets = loss()
    (total / num_targets).backward()
    return total.item() / num_targets, {name: parameter.grad for name, parameter in model.named_parameters()}


def operations(sizes, frames, num_frames, num_masked):
    """Return the number of floating-point operations of a step; the backward pass counts twice the forward pass.

    Args:
        sizes: sizes of the model, the fields of `MelHuBERTConfig`.
        frames: number of frames in the batch.
        num_frames: number of frames in a crop.
        num_masked: number of masked frames in the batch.
    """
    dim = sizes["dim"]
    layer = 4 * dim**2 + 2 * dim * sizes["ffn_dim"]
    conv = sizes["conv_kernel"] * dim**2 // sizes["conv_groups"]
    per_frame = sizes["num_layers"] * (layer + 2 * num_frames * dim) + conv + 4 * sizes["frame_ms"] * dim
    return 6 * (frames * per_frame + num_masked * dim * sizes["num_targets"][0])


def per_cpu_second(function, count):
    """Return the operations per second of CPU time of `function()`, which does `count` operations.

    Other load on the machine changes CPU time little.
    """
    started = sum(os.times()[:2])
    function()
    return count / (sum(os.times()[:2]) - started)


def matmul_per_cpu_second(dtype, size=2048, repeats=10):
    """Return the highest number of operations per second of CPU time in a product of two `[size, size]` matrices."""
    a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
    return max(per_cpu_second(lambda: [a @ b for _ in range(3)], 6 * size**3) for _ in range(repeats))


def check_step(model, peer, batch):
    """Return the differences between losses and gradients without dropout. Raises `ValueError` if they exceed 1e-3."""
    model.eval()
    peer.eval()
    our_loss, our_gradients = step(model, lambda: masked_loss(model, batch, 0))
    peer_loss, peer_gradients = step(peer, lambda: peer.loss(batch))
    model.train()
    peer.train()
    differences = []
    for our_name, peer_name in COMPARED.items():
        expected = peer_gradients[peer_name]
        differences.append(float((our_gradients[our_name] - expected).abs().max() / expected.abs().max()))
    figures = dict(loss=our_loss, loss_difference=abs(our_loss - peer_loss), gradient_difference=max(differences))
    if max(figures["loss_difference"], figures["gradient_difference"]) > 1e-3:
        raise ValueError(f"melhubert_step: both sides must have the same loss and gradients; {figures}")
    return figures


def published_batch(data, rng):
    """Return crops of full length with random frames and targets, masked as published."""
    length = data["max_crop_frames"]
    generator = torch.Generator().manual_seed(0)
    rows = [
        (torch.randn(length, 80, generator=generator), torch.randint(512, (length, 1), generator=generator))
        for _ in range(NUM_CROPS)
    ]
    return collate(rows, data["mask"], rng)


def main():
    """Run the benchmark."""
    config = default_config()
    preset = config["pretrain_melhubert"]["published"]
    sizes = config["convert_encoder"]["melhubert"]["sizes"]
    peer = FairseqMelHuBERT(sizes, preset["dropout"], seed=0).train()
    tensors = convert(peer.state_dict() | dict(mean_std=torch.ones(2, NUM_MELS)), sizes)[0]
    fields = {name: sizes[name] for name in MelHuBERTConfig.__dataclass_fields__}
    model = MelHuBERTModel(MelHuBERTConfig(**fields), preset["dropout"]).train()
    model.load_state_dict({name: tensor for name, tensor in tensors.items() if name not in ("mean", "std")})
    batch = published_batch(preset["data"], np.random.default_rng(0))
    *_, mask = batch
    count = operations(sizes, mask.numel(), mask.shape[1], int(mask.sum()))

    def peer_step():
        return step(peer, lambda: peer.loss(batch))

    def ours():
        with mixed_precision(torch.device("cpu")):
            return step(model, lambda: masked_loss(model, batch, preset["data"]["unmasked_weight"]))

    def check(*_):
        with mixed_precision(torch.device("cpu")):
            dtype = torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype
        peak = matmul_per_cpu_second(dtype)
        reached = per_cpu_second(ours, count)
        peer_reached = per_cpu_second(peer_step, count)
        return check_step(model, peer, batch) | dict(
            floating_point_operations=count,
            peak_per_cpu_second=peak,
            reached_per_cpu_second=reached,
            fraction_of_peak=reached / peak,
            dtype=str(dtype),
            peer_fraction_of_its_peak=peer_reached / matmul_per_cpu_second(torch.float32),
        )

    compare(
        "melhubert_step",
        ours,
        peer_step,
        what="step of masked pre-training, 90 M MelHuBERT, 2 crops of 15 s; peer: fairseq's layers in float32, as the authors'",
        unit="s/step",
        runs=NUM_RUNS,
        aim=None,
        check=check,
        parameters=sum(p.numel() for p in model.parameters()),
        frames=mask.numel(),
    )


if __name__ == "__main__":
    main()
