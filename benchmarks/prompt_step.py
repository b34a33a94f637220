"""A step of prompt training, forward and backward, of the published unit LM: past keys and values against overwritten rows.

Both in float32 without dropout on one batch, so loss and gradients must agree; the optimiser's update of 0.15 M numbers is
the same for both and left out.
"""

import torch
import torch.nn.functional as F

from benchmarks.peers.fairseq_lm import PUBLISHED, OverwrittenRows, fairseq_unit_lm, our_unit_lm, prompt_of
from benchmarks.peers.gsc_units import token_rows
from benchmarks.side_by_side import compare, matmul_peak, seconds
from training.device import mixed_precision
from ulm.build_vocabulary import EOS, PAD, SEPARATOR
from ulm.data import pad_rows
from ulm.tuned import TunedLM

BATCH, LENGTH, RUNS = 32, 6, 5
NAMES = ("keys", "values", "separator")


def step(module, loss, vectors):
    """Loss per target and its gradients with respect to the prompt's `vectors`."""
    module.zero_grad(set_to_none=True)
    value = loss()
    value.backward()
    return value.item(), {name: getattr(vectors, name).grad for name in NAMES}


def overwritten_loss(model, rows):
    """Cross entropy per target, the labels and `</s>`, of rows (source, target) `u1 … uN`, `<s> y1 … yk </s>`."""
    inputs = pad_rows([[EOS, *source, *target[:-1]] for source, target in rows])
    wanted = pad_rows([[PAD] * (len(source) + 1) + target[1:] for source, target in rows])
    return F.cross_entropy(model(inputs)[0].flatten(0, 1), wanted.flatten(), ignore_index=PAD)


def same(ours, peer):
    """Figures on how far apart losses and gradients are; raises `ValueError` above 1e-4."""
    far = max(float((ours[1][n] - peer[1][n]).abs().max() / peer[1][n].abs().max()) for n in NAMES)
    figures = dict(loss=ours[0], loss_difference=abs(ours[0] - peer[0]), gradient_difference=far)
    if max(figures["loss_difference"], far) > 1e-4:
        raise ValueError(f"prompt_step: both ways must give the same loss and gradients; {figures}")
    return figures


def main():
    rows, origin = token_rows()
    middle = sorted(rows, key=lambda row: len(row[0]))[len(rows) // 2 :][:BATCH]  # batches hold rows of similar length
    rows = [(source, [SEPARATOR, label, EOS]) for source, label in middle]
    theirs = fairseq_unit_lm(PUBLISHED, seed=0)
    lm = our_unit_lm(theirs, PUBLISHED)
    tuned = TunedLM(lm, prompt_of(lm, LENGTH, seed=0), "all", label_smoothing=0.0)
    overwritten = OverwrittenRows(theirs, tuned.prompt)
    batch = tuple(zip(*rows))

    def our_loss():
        loss, num_targets = tuned.loss(batch)
        return loss / num_targets

    def ours():
        return step(tuned, our_loss, tuned.prompt)

    def in_bfloat16():
        with mixed_precision(torch.device("cpu")):
            return ours()

    def check(ours, peer):
        return same(ours, peer) | dict(
            ours_in_bfloat16=min(seconds(in_bfloat16)[0] for _ in range(3)),
            peak_per_second=matmul_peak(torch.get_num_threads(), torch.float32),
        )

    tokens = sum(len(source) + 1 + len(target) - 1 for source, target in rows)
    multiplied = sum(p.numel() for p in lm.layers.parameters() if p.dim() == 2)
    compare(
        "prompt_step",
        ours,
        lambda: step(overwritten, lambda: overwritten_loss(overwritten, rows), overwritten),
        what="a step of prompt training, 151 M unit LM, 32 rows, prompts of length 6; peer: rows overwritten, fairseq's layers",
        unit="s/step",
        runs=RUNS,
        aim=1.15,
        check=check,
        rows=origin,
        tokens=tokens,
        trained_parameters=sum(p.numel() for p in overwritten.parameters() if p.requires_grad),
        floating_point_operations=4 * multiplied * tokens,  # forward, and backward through the inputs alone
    )


if __name__ == "__main__":
    main()
