"""The same as `decode`, but fairseq's generator uses its cache. It is still forced through the source token by token."""

from benchmarks.decode import run
from benchmarks.peers.fairseq_lm import Cached

if __name__ == "__main__":
    run(
        "decode_cached",
        lambda theirs, tuned: Cached(theirs, tuned.prompt.key_values(tuned.lm)),
        num_batches=2,
        runs=3,
        aim=4,
        what="label of a test row, 151 M unit LM in bfloat16, prompt of length 6; "
        "peer: fairseq's generator in float32, with its cache",
    )
