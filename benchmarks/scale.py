"""Time and memory of the stages that process tables, from manifest to LM data, on simulated corpora of 1,000 to 100,000 utterances.

Utterances have as many frames as those of LibriSpeech. A frame has four values instead of 768, so that the cost of the tables is
measured and not the cost of an encoder. Only a tenth of a second of audio is written for each utterance. Each stage runs in its
own process. Growth is the slope of log CPU seconds over log utterances; CPU seconds are used because other load on the machine
changes them little.
"""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from benchmarks import plan
from benchmarks.overhead import copy_project
from benchmarks.side_by_side import load, seconds, write
from speech2unit.corpora.layouts import utterance_id
from speech2unit.schemas import CENTROIDS, FEATURES, PROJECTION
from storage import tables
from storage.progress import progress
from workflow.scripts.config_files import default_config

ROOT = Path(__file__).parents[1]
SIZES = (1000, 10_000, 100_000)  # numbers of utterances
NUM_UNITS, DIM, NUM_SHARDS = 500, 4, 64
FRAMES = (200, 1000)  # per utterance, uniformly distributed: 4 to 20 s, 12 s on average
CLIP_SAMPLES = 1600
NUM_SPEAKERS, NUM_CLASSES = 3000, 12
SPLITS = ("train",) * 8 + ("dev", "test")  # of ten speakers
CORPUS = dict(
    corpus="simulated",
    adapter="table",
    metadata="metadata.csv",
    path_column="path",
    split_column="split",
    speaker_column="speaker",
    label_columns="label",
    where="",
    speeds="",
    speaker_pattern="",
    source="",
    codebook="",
)


def utterance(i):
    """Return path, split, speaker and label of utterance `i`."""
    speaker = i % NUM_SPEAKERS
    return f"{i % 100:02d}/{i:06d}.wav", SPLITS[speaker % len(SPLITS)], f"s{speaker}", f"class{i // NUM_SPEAKERS % NUM_CLASSES}"


def simulate_audio(folder, num_utterances):
    """Write a corpus of noise with its metadata.csv."""
    rng = np.random.default_rng(0)
    rows = [utterance(i) for i in range(num_utterances)]
    for name in range(100):
        (folder / f"{name:02d}").mkdir(parents=True)
    for path, *_ in rows:
        soundfile.write(folder / path, rng.integers(-3000, 3000, CLIP_SAMPLES, np.int16), 16_000)
    lines = ["path,split,speaker,label", *map(",".join, rows)]
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")


def simulate_features(folder, num_utterances):
    """Write shards of features, in which each frame is a centroid and occurs twice, and the tables of the codebook."""
    rng = np.random.default_rng(0)
    centroids = rng.normal(size=(NUM_UNITS, DIM)).astype(np.float32)
    tables.write(
        folder / "centroids.parquet", [dict(unit=u, centroid=c, num_frames=1) for u, c in enumerate(centroids)], CENTROIDS
    )
    tables.write(folder / "projection.parquet", PROJECTION.empty_table(), PROJECTION)
    for shard in range(NUM_SHARDS):
        with tables.writer(folder / f"features/{shard}.parquet", FEATURES) as writer:
            for batch in batched(range(shard, num_utterances, NUM_SHARDS), 20):
                units = [rng.integers(NUM_UNITS, size=rng.integers(*FRAMES) // 2).repeat(2) for _ in batch]
                writer.write([_features(i, centroids[part]) for i, part in zip(batch, units)])


def batched(items, size):
    """Yield slices of a sequence."""
    return (items[start : start + size] for start in range(0, len(items), size))


def _features(i, frames):
    """Return the features of utterance `i`."""
    path, split, *_ = utterance(i)
    return dict(utterance_id=utterance_id(path), split=split, speed=1.0, num_frames=len(frames), features=frames.reshape(-1))


def calls(folder):
    """Return a dict from each stage to its keyword arguments, in the order of the pipeline."""
    config = default_config()

    def path(name):
        return str(folder / f"{name}.parquet")

    shards = [str(folder / f"features/{shard}.parquet") for shard in range(NUM_SHARDS)]
    return {
        "speech2unit.corpora.make_manifest": dict(
            manifest=path("manifest"),
            rejected=path("rejected"),
            corpus=CORPUS | dict(root=str(folder / "audio")),
            allow_overlap=[],
            num_folds=0,
            **config["make_manifest"],
        ),
        "speech2unit.assign_units": dict(
            features=shards,
            centroids=path("centroids"),
            projection=path("projection"),
            units=path("units"),
            codebook="simulated",
            context_frames=0,
        ),
        "speech2unit.reduce_units": dict(units=path("units"), reduced_units=path("reduced_units")),
        "ulm.build_vocabulary": dict(
            reduced_units=[path("reduced_units")], vocabulary=path("vocabulary"), codebook="simulated", num_units=NUM_UNITS
        ),
        "verbalizer.create_lm_dataset": dict(
            reduced_units=path("reduced_units"),
            manifest=path("manifest"),
            lm_dataset=path("lm_dataset"),
            labels=["label"],
            corpus_labels=["label"],
            needs_two_classes=False,
            examples_per_class=0,
            **config["create_lm_dataset"],
        ),
        "verbalizer.fit_verbalizer": dict(
            lm_dataset=path("lm_dataset"),
            verbalizer=path("verbalizer"),
            method="freq",
            num_units=NUM_UNITS,
            **config["fit_verbalizer"],
        ),
        "verbalizer.apply_verbalizer": dict(
            lm_dataset=path("lm_dataset"), verbalizer=path("verbalizer"), verbalized=path("verbalized")
        ),
        "ulm.binarize": dict(
            verbalized=path("verbalized"),
            vocabulary=path("vocabulary"),
            binarized=str(folder / "binarized"),
            rows=path("binarized"),
            codebook="simulated",
        ),
    }


RUN = """import importlib, json, sys, time
stage, arguments = sys.argv[1], json.loads(sys.stdin.read())
function = getattr(importlib.import_module(stage), stage.split(".")[-1])
started, used = time.monotonic(), time.process_time()
function(**arguments)
print(json.dumps(dict(seconds=time.monotonic() - started, cpu_seconds=time.process_time() - used)))
"""


def measure(stage, arguments):
    """Run a stage in a new process, and return its seconds, CPU seconds and peak memory (10⁶ bytes)."""
    command = [sys.executable, "-c", RUN, stage]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdin.write(json.dumps(arguments))
    process.stdin.close()
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{stage} failed, see above\n{output}")
    return json.loads(output.splitlines()[-1]) | dict(peak_memory_mb=round(usage.ru_maxrss * 1024 / 1e6))


def exponent(sizes, values):
    """Return the slope of log values over log sizes; 1 is linear growth."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def growth(sizes, measurements):
    """Return the measurements of each stage at every size, and its exponents of growth over all sizes and over the last two.

    Args:
        sizes: numbers of utterances, in rising order.
        measurements: for each size, a dict from stage to the result of `measure`.
    """
    late = [i for i, size in enumerate(sizes) if size >= sizes[-1] / 10]
    stages = {}
    for stage, first in measurements[0].items():
        figures = {name: [measurement[stage][name] for measurement in measurements] for name in first}
        cpu_seconds = figures["cpu_seconds"]
        stages[stage.split(".")[-1]] = figures | dict(
            exponent=exponent(sizes, cpu_seconds),
            late_exponent=exponent([sizes[i] for i in late], [cpu_seconds[i] for i in late]),
        )
    return stages


def plan_dry_run(num_utterances):
    """Return the number of jobs and the seconds of a dry run for a task on a corpus in 64 shards."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        copy_project(folder)
        shutil.copytree(ROOT / "tests/config", folder / "tests/config")
        (folder / "large").mkdir()
        lines = ["path,split,speaker,label", *(",".join(utterance(i)) for i in range(num_utterances))]
        (folder / "large/metadata.csv").write_text("\n".join(lines) + "\n")
        (folder / "shards.yaml").write_text(f"num_shards: {NUM_SHARDS}\n")
        command = [sys.executable, "-m", "snakemake", "--dry-run", "--configfile", "tests/config/tiny.yaml", "shards.yaml"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command += ["--", "results/SCR_large/acc.json"]
        taken, process = seconds(lambda: subprocess.run(command, cwd=folder, capture_output=True, text=True))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    output = process.stdout + process.stderr
    if process.returncode:
        raise RuntimeError(output)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    jobs = int(re.search(r"^total +(\d+)$", output, re.MULTILINE)[1])
    return dict(jobs=jobs, dry_run_seconds=taken, dry_run_cpu_seconds=cpu)


def measure_all(num_utterances):
    """Run all stages on a new corpus. Return a dict from stage to measurements, and the bytes of each table that they write."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        simulate_audio(folder / "audio", num_utterances)
        simulate_features(folder, num_utterances)
        stages = calls(folder)
        figures = {stage: measure(stage, arguments) for stage, arguments in progress(list(stages.items()), "stages")}
        sizes = {path.stem: path.stat().st_size for path in folder.glob("*.parquet")}
    print(num_utterances, figures, flush=True)
    return figures, sizes


def main(sizes=SIZES):
    """Run the benchmark."""
    load_before = load()
    planned = plan_dry_run(sizes[-1])
    measurements, bytes_written = zip(*(measure_all(size) for size in sizes))
    totals = []
    for size, measurement in zip(sizes, measurements):
        cpu_seconds = sum(figures["cpu_seconds"] for figures in measurement.values())
        totals.append(cpu_seconds / size * 1000)
    stages = growth(sizes, measurements)
    write(
        "scale",
        totals[-1:],
        totals[:1],
        unit="CPU s/1000 rows",
        aim=round((sizes[-1] / sizes[0]) ** -0.1, 2),
        load_before=load_before,
        what=f"manifest to LM data, eight stages, {sizes[-1]:,} utterances of 12 s; "
        f"peer: the same with {sizes[0]:,} (ratio 1: linear growth)",
        sizes=list(sizes),
        **planned,
        stages=stages,
        peak_memory_mb=max(max(stage["peak_memory_mb"]) for stage in stages.values()),
        largest_exponent=max(max(stage["exponent"], stage["late_exponent"]) for stage in stages.values()),
        bytes_per_utterance={table: size / sizes[-1] for table, size in bytes_written[-1].items()},
        hours=sizes[-1] * sum(FRAMES) / 2 * 0.02 / 3600,
    )
    plan.main()


if __name__ == "__main__":
    main()
