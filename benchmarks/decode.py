"""Labels of test rows from the published unit LM with a prompt: one cached pass over all rows, against fairseq's generator.

The peer decodes like SpeechPrompt v1: in batches of 32, with the source forced token by token and without a cache. Both sides
choose among twelve labels of one unit each, so their predictions must agree. The weights are random, but the same on both sides.
Ours runs like the stage `sample`, with matrix products in bfloat16 if the processor supports it; `ours_in_float32` is the time of
the same in float32.
"""

import copy

import torch

from benchmarks.peers.fairseq_lm import PUBLISHED, OverwrittenRows, dictionary, fairseq_unit_lm, generate, our_unit_lm, prompt_of
from benchmarks.peers.gsc_units import FIRST_UNIT, NUM_LABELS, NUM_UNITS, token_rows
from benchmarks.side_by_side import compare, matmul_peak, seconds
from training.device import cast_frozen, mixed_precision
from ulm.decode import greedy, legal_continuations
from ulm.tuned import TunedLM
from ulm.vocabulary import EOS

BATCH_SIZE = 32
LENGTH = 6  # number of vectors of the prompt
FOLLOWING = legal_continuations([(FIRST_UNIT + label, EOS) for label in range(NUM_LABELS)])


def batches(num_batches):
    """Return batches of 32 sources, and a text that says where they come from.

    All sources of a batch have the same length, because fairseq's generator can then be restricted to a few tokens. The lengths
    of the batches are spread over those of the test set.
    """
    rows, origin = token_rows()
    sources_by_length = {}
    for source, _ in rows:
        sources_by_length.setdefault(len(source), []).append(source.tolist())
    full = [sources[:BATCH_SIZE] for _, sources in sorted(sources_by_length.items()) if len(sources) >= BATCH_SIZE]
    return [full[(2 * i + 1) * len(full) // (2 * num_batches)] for i in range(num_batches)], origin


def strengthen_attention(theirs):
    """Multiply the attention of fairseq's LM by four. With random weights, labels would else hardly depend on the source."""
    for layer in theirs.decoder.layers:
        layer.self_attn.out_proj.weight.mul_(4)
    return theirs


def check_labels(ours, peer):
    """Return the numbers of rows and of different labels. Raises `ValueError` if the predictions differ."""
    if ours != peer:
        num_different = sum(our_label != peer_label for our_label, peer_label in zip(ours, peer))
        raise ValueError(f"decode: both sides must predict the same labels; {num_different} of {len(ours)} differ")
    return dict(predicted_rows=len(ours), different_labels=len(set(ours)))


def run(name, build_peer, what, *, num_batches, **settings):
    """Run the benchmark.

    Args:
        name: name of the benchmark.
        build_peer: function that takes fairseq's LM and our `TunedLM`, and returns the model that fairseq's generator decodes.
        what: what is computed, see `side_by_side.compare`.
        num_batches: number of batches.
        settings: other arguments of `side_by_side.compare`.

    Raises:
        ValueError: if the two sides predict different labels.
    """
    sources, origin = batches(num_batches)
    theirs = strengthen_attention(fairseq_unit_lm(PUBLISHED, seed=0))
    words = dictionary(NUM_UNITS)
    lm = our_unit_lm(theirs, PUBLISHED)
    tuned = TunedLM(lm, prompt_of(lm, LENGTH, seed=0), "all", label_smoothing=0.0)
    peer_model = build_peer(theirs, tuned)
    device = torch.device("cpu")
    cast = copy.deepcopy(tuned)
    cast_frozen(cast.requires_grad_(False), device)

    def decode_labels(tuned):
        labels = []
        for batch in sources:
            answers, _ = greedy(tuned, batch, max_steps=2, following=FOLLOWING)
            labels += [label for (label,) in answers]
        return labels

    def ours():
        with mixed_precision(device):
            return decode_labels(cast)

    def peer():
        return [label for batch in sources for label in generate(peer_model, words, batch, NUM_LABELS)]

    def check(our_labels, peer_labels):
        timed = [seconds(lambda: decode_labels(tuned)) for _ in range(3)]
        taken, float32_labels = min(timed, key=lambda pair: pair[0])
        figures = check_labels(our_labels, peer_labels) | check_labels(float32_labels, peer_labels)
        return figures | dict(ours_in_float32=taken / len(float32_labels))

    compare(
        name,
        ours,
        peer,
        what=what,
        unit="s/row",
        items=BATCH_SIZE * num_batches,
        check=check,
        rows=origin,
        units_per_row=[len(batch[0]) for batch in sources],
        peak_per_second=matmul_peak(torch.get_num_threads(), torch.float32),
        **settings,
    )


if __name__ == "__main__":
    run(
        "decode",
        lambda theirs, tuned: OverwrittenRows(theirs, tuned.prompt),
        num_batches=2,
        runs=3,
        peer_runs=1,
        aim=40,
        what="label of a test row, 151 M unit LM in bfloat16, prompt of length 6; "
        "peer: fairseq's generator in float32, source forced, no cache",
    )
