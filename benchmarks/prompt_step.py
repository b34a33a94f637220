"""One step of prompt tuning with the published unit LM, forward and backward: past keys and values against overwritten rows.

Both sides run in float32 without dropout on the same batch, so their losses and gradients must agree. The optimizer's update of
0.15 M parameters is the same on both sides and is left out. `ulm/__init__.py` explains the notation of rows.
"""

import torch
import torch.nn.functional as F

from benchmarks.peers.fairseq_lm import PUBLISHED, OverwrittenRows, fairseq_unit_lm, our_unit_lm, prompt_of
from benchmarks.peers.gsc_units import token_rows
from benchmarks.side_by_side import compare, matmul_peak, seconds
from training.device import mixed_precision
from ulm.data import pad_rows
from ulm.tuned import TunedLM
from ulm.vocabulary import EOS, PAD, SEPARATOR

BATCH_SIZE = 32
LENGTH = 6  # number of vectors of the prompt
NUM_RUNS = 5
VECTORS = ("keys", "values", "separator")


def step(module, loss, vectors):
    """Return the loss per predicted token, and its gradients with respect to the vectors of the prompt."""
    module.zero_grad(set_to_none=True)
    value = loss()
    value.backward()
    return value.item(), {name: getattr(vectors, name).grad for name in VECTORS}


def overwritten_loss(model, rows):
    """Return the cross entropy per predicted token of pairs (source `u1 … uN`, target `<s> y1 … yk </s>`)."""
    inputs = pad_rows([[EOS, *source, *target[:-1]] for source, target in rows])
    expected = pad_rows([[PAD] * (len(source) + 1) + target[1:] for source, target in rows])
    return F.cross_entropy(model(inputs)[0].flatten(0, 1), expected.flatten(), ignore_index=PAD)


def check_step(ours, peer):
    """Return the differences between losses and gradients. Raises `ValueError` if they exceed 1e-4."""
    our_loss, our_gradients = ours
    peer_loss, peer_gradients = peer
    differences = []
    for name in VECTORS:
        expected = peer_gradients[name]
        differences.append(float((our_gradients[name] - expected).abs().max() / expected.abs().max()))
    figures = dict(loss=our_loss, loss_difference=abs(our_loss - peer_loss), gradient_difference=max(differences))
    if max(figures["loss_difference"], figures["gradient_difference"]) > 1e-4:
        raise ValueError(f"prompt_step: both sides must have the same loss and gradients; {figures}")
    return figures


def main():
    """Run the benchmark."""
    rows, origin = token_rows()
    middle = sorted(rows, key=lambda row: len(row[0]))[len(rows) // 2 :][:BATCH_SIZE]  # as in training, rows of similar length
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
        return check_step(ours, peer) | dict(
            ours_in_bfloat16=min(seconds(in_bfloat16)[0] for _ in range(3)),
            peak_per_second=matmul_peak(torch.get_num_threads(), torch.float32),
        )

    tokens = sum(len(source) + 1 + len(target) - 1 for source, target in rows)
    multiplied = sum(p.numel() for p in lm.layers.parameters() if p.dim() == 2)
    compare(
        "prompt_step",
        ours,
        lambda: step(overwritten, lambda: overwritten_loss(overwritten, rows), overwritten),
        what="step of prompt training, 151 M unit LM, 32 rows, prompt of length 6; peer: rows overwritten, fairseq's layers",
        unit="s/step",
        runs=NUM_RUNS,
        aim=1.15,
        check=check,
        rows=origin,
        tokens=tokens,
        trained_parameters=sum(p.numel() for p in overwritten.parameters() if p.requires_grad),
        floating_point_operations=4 * multiplied * tokens,  # forward, and backward with respect to the inputs only
    )


if __name__ == "__main__":
    main()
