"""Training time until a prompt reaches an accuracy on the dev split of published units: our preset against the papers' recipe.

Both tune the same unit LM with the same stage. Evaluation on the dev split does not count as training time.

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
ROWS = ROOT / "results/SCR_gsc_units/binarized.parquet"
ULM = ROOT / "results/ulm/gsc_units"
ACCURACY = 0.9
EVALUATE_EVERY = 100  # updates between two evaluations on the dev split
PAPERS = dict(  # settings of tune_prompt
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
    num_updates=100_000,  # the learning rate then hardly falls before the accuracy is reached
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
    """Raised to end the training once the accuracy is reached."""


def seconds_to(accuracy, settings):
    """Return the seconds of training, and the number of updates, until an accuracy on the dev split is reached.

    Args:
        accuracy: the accuracy to reach, from 0 to 1.
        settings: settings of the stage `tune_prompt`.

    Raises:
        ValueError: if the accuracy is never reached.
    """
    evaluate = TunedLM.measures
    evaluation_seconds = []
    started = time.perf_counter()

    def evaluate_off_the_clock(tuned, batches):
        evaluation_started = time.perf_counter()
        measures = evaluate(tuned, batches)
        evaluation_seconds.append(time.perf_counter() - evaluation_started)
        if measures["accuracy"] >= accuracy:
            raise ReachedError
        return measures

    with tempfile.TemporaryDirectory() as folder, mock.patch.object(TunedLM, "measures", evaluate_off_the_clock):
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
            training_seconds = time.perf_counter() - started - sum(evaluation_seconds)
            return training_seconds, len(evaluation_seconds) * EVALUATE_EVERY
    raise ValueError(
        f"time_to_accuracy: the accuracy must be reached; expected {accuracy}, got less after {settings['num_updates']} updates"
    )


def main():
    """Run both once. Each takes minutes."""
    if not (ROWS.exists() and (ULM / "model.safetensors").exists()):
        raise SystemExit(
            f"time_to_accuracy: first run snakemake --cores 2 {ROWS.relative_to(ROOT)} {ULM.relative_to(ROOT)}/model.safetensors"
        )
    preset = default_config()["tune_prompt"]["prompt5_target_long"]
    preset["optimization"] |= dict(evaluate_every=EVALUATE_EVERY)
    load_before = load()
    ours, our_updates = seconds_to(ACCURACY, preset)
    peer, peer_updates = seconds_to(ACCURACY, preset | PAPERS)
    write(
        "time_to_accuracy",
        [ours],
        [peer],
        unit="s",
        aim=3,
        load_before=load_before,
        accuracy=ACCURACY,
        updates=our_updates,
        peer_updates=peer_updates,
        what=f"training of a prompt of length 5 to {ACCURACY:.0%} on dev, published units, unit LM of 1.9 M; "
        "peer: the papers' recipe",
    )


if __name__ == "__main__":
    main()
