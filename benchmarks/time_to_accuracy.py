"""Training time until prompts reach an accuracy on the dev split of the published units: our preset and the papers' recipe.

Both tune the same unit LM through the same stage; the clock stops while the dev split is judged.
**Source of the recipe:** SpeechPrompt, arXiv 2203.16773 and 2303.00733, and its public settings.
"""

import tempfile
import time
from pathlib import Path
from unittest import mock

from benchmarks.side_by_side import load, write
from ulm.tune_prompt import tune_prompt
from ulm.tuned import TunedLM
from workflow.scripts.config_files import default_config

ROOT = Path(__file__).parents[1]
ROWS, ULM = ROOT / "results/SCR_gsc_units/binarized.parquet", ROOT / "results/ulm/gsc_units"
ACCURACY = 0.9
EVALUATE_EVERY = 100  # updates
PAPERS = dict(
    prompt=dict(
        kind="deep",
        length=5,
        scope="all",
        dropout=0.1,
        initialization="normal",
        separator_rate_factor=1.0,
    ),
    data=dict(
        augmentation=dict(probability=0.0, drop=0.0, substitute=0.0, crop=0.0),
        balanced=False,
        max_tokens=32 * 30,  # 32 rows, which are 30 tokens long on average
        reuse_batches=1,
    ),
    label_smoothing=0.0,
    num_updates=100_000,  # so many that the learning rate hardly falls before the accuracy is reached
    optimization=dict(
        batches_per_update=1,
        learning_rate=5e-3,
        warmup_updates=0,
        clip_norm=1.0,
        betas=[0.9, 0.98],
        weight_decay=0.0,
        evaluate_every=EVALUATE_EVERY,
    ),
)


class ReachedError(Exception):
    """The accuracy is there."""


def seconds_to(accuracy, settings):
    """Seconds of training until `accuracy` on the dev split, and the updates; raises `ValueError` if it never comes."""
    judging, measures, calls = [0.0], TunedLM.measures, [0]
    started = time.perf_counter()

    def judge(tuned, batches):
        before = time.perf_counter()
        found = measures(tuned, batches)
        judging[0] += time.perf_counter() - before
        calls[0] += 1
        if found["accuracy"] >= accuracy:
            raise ReachedError
        return found

    with tempfile.TemporaryDirectory() as folder, mock.patch.object(TunedLM, "measures", judge):
        try:
            tune_prompt(
                rows=ROWS,
                model=ULM / "model.safetensors",
                config=ULM / "config.json",
                task_prompts=ULM / "task_prompts.safetensors",
                tuned_weights=Path(folder) / "prompt.safetensors",
                training=Path(folder) / "training.parquet",
                seeds=[1],
                learn_verbalizer=False,
                **settings,
            )
        except ReachedError:
            return time.perf_counter() - started - judging[0], calls[0] * EVALUATE_EVERY
    raise ValueError(
        f"time_to_accuracy: the accuracy must be reached; expected {accuracy}, got less after {settings['num_updates']} updates"
    )


def main():
    """Runs both once: minutes each."""
    if not (ROWS.exists() and (ULM / "model.safetensors").exists()):
        raise SystemExit(
            f"time_to_accuracy: first run snakemake --cores 2 {ROWS.relative_to(ROOT)} {ULM.relative_to(ROOT)}/model.safetensors"
        )
    preset = default_config()["tune_prompt"]["prompt5_target_long"]
    preset["optimization"] |= dict(evaluate_every=EVALUATE_EVERY)
    before = load()
    (ours, our_updates), (peer, peer_updates) = seconds_to(ACCURACY, preset), seconds_to(ACCURACY, preset | PAPERS)
    write(
        "time_to_accuracy",
        [ours],
        [peer],
        unit="s",
        aim=3,
        load_before=before,
        accuracy=ACCURACY,
        updates=our_updates,
        peer_updates=peer_updates,
        what=f"training of prompts of length 5 to {ACCURACY:.0%} on dev, published units, unit LM of 1.9 M; peer: the papers' recipe",
    )


if __name__ == "__main__":
    main()
