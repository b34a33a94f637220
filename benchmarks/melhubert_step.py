"""A step of masked pre-training at the published size, forward and backward, and which part of the machine's peak it reaches.

Ours runs as `fit` runs it, matrix products in bfloat16 where the processor has them; the peer is what MelHuBERT's authors
run, fairseq's layers in float32. Both with dropout; without it, and both in float32, loss and gradients must agree.
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

CROPS, RUNS = 2, 3
COMPARED = {
    "post_extract_proj.weight": "pre_extract_proj.weight",
    "layers.0.q_proj.weight": "encoder.layers.0.self_attn.q_proj.weight",
}


def step(model, loss):
    """Loss per masked frame, and the gradients of all parameters."""
    model.zero_grad(set_to_none=True)
    total, num_targets = loss()
    (total / num_targets).backward()
    return total.item() / num_targets, {name: parameter.grad for name, parameter in model.named_parameters()}


def operations(sizes, frames, num_frames, num_masked):
    """Floating-point operations of a step on crops of `num_frames` frames, `frames` in all: forward once, backward twice."""
    dim, layer = sizes["dim"], 4 * sizes["dim"] ** 2 + 2 * sizes["dim"] * sizes["ffn_dim"]
    conv = sizes["conv_kernel"] * dim**2 // sizes["conv_groups"]
    each = sizes["num_layers"] * (layer + 2 * num_frames * dim) + conv + 4 * sizes["frame_ms"] * dim
    return 6 * (frames * each + num_masked * dim * sizes["num_targets"][0])


def per_cpu_second(call, count):
    """How many operations a second of CPU time does, of a call of `count`: others on the machine change it little."""
    started = sum(os.times()[:2])
    call()
    return count / (sum(os.times()[:2]) - started)


def matmul_per_cpu_second(dtype, size=2048, repeats=10):
    """The same of a product of two matrices, at best."""
    a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
    return max(per_cpu_second(lambda: [a @ b for _ in range(3)], 6 * size**3) for _ in range(repeats))


def same(model, peer, batch):
    """How far apart losses and gradients are, without dropout; raises `ValueError` above 1e-3."""
    model.eval(), peer.eval()
    ours, theirs = step(model, lambda: masked_loss(model, batch, 0)), step(peer, lambda: peer.loss(batch))
    model.train(), peer.train()
    pairs = [(ours[1][name], theirs[1][other]) for name, other in COMPARED.items()]
    far = max(float((one - two).abs().max() / two.abs().max()) for one, two in pairs)
    figures = dict(loss=ours[0], loss_difference=abs(ours[0] - theirs[0]), gradient_difference=far)
    if max(figures["loss_difference"], far) > 1e-3:
        raise ValueError(f"melhubert_step: both ways must give the same loss and gradients; {figures}")
    return figures


def published_batch(data, rng):
    """Crops of full length with random frames and targets, masked as published."""
    length = data["max_crop_frames"]
    generator = torch.Generator().manual_seed(0)
    rows = [
        (torch.randn(length, 80, generator=generator), torch.randint(512, (length, 1), generator=generator)) for _ in range(CROPS)
    ]
    return collate(rows, data["mask"], rng)


def main():
    config = default_config()
    preset, sizes = config["pretrain_melhubert"]["published"], config["convert_encoder"]["melhubert"]["sizes"]
    peer = FairseqMelHuBERT(sizes, preset["dropout"], seed=0).train()
    tensors = convert(peer.state_dict() | dict(mean_std=torch.ones(2, NUM_MELS)), sizes)[0]
    fields = {name: sizes[name] for name in MelHuBERTConfig.__dataclass_fields__}
    model = MelHuBERTModel(MelHuBERTConfig(**fields), preset["dropout"]).train()
    model.load_state_dict({name: tensor for name, tensor in tensors.items() if name not in ("mean", "std")})
    batch = published_batch(preset["data"], np.random.default_rng(0))
    count = operations(sizes, batch[3].numel(), batch[3].shape[1], int(batch[3].sum()))

    def ours():
        with mixed_precision(torch.device("cpu")):
            return step(model, lambda: masked_loss(model, batch, preset["data"]["unmasked_weight"]))

    def check(*_):
        with mixed_precision(torch.device("cpu")):
            dtype = torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype
        peak, reached = matmul_per_cpu_second(dtype), per_cpu_second(ours, count)
        return same(model, peer, batch) | dict(
            floating_point_operations=count,
            peak_per_cpu_second=peak,
            reached_per_cpu_second=reached,
            fraction_of_peak=reached / peak,
            dtype=str(dtype),
            peer_fraction_of_its_peak=per_cpu_second(lambda: step(peer, lambda: peer.loss(batch)), count)
            / matmul_per_cpu_second(torch.float32),
        )

    compare(
        "melhubert_step",
        ours,
        lambda: step(peer, lambda: peer.loss(batch)),
        what="a step of masked pre-training, 90 M MelHuBERT, 2 crops of 15 s; peer: fairseq's layers in float32, as the authors'",
        unit="s/step",
        runs=RUNS,
        aim=None,
        check=check,
        parameters=sum(p.numel() for p in model.parameters()),
        frames=batch[3].numel(),
    )


if __name__ == "__main__":
    main()
