"""Write the tables of benchmarks/scale.md: the time and memory for a corpus of 60,000 hours, computed from measurements."""

from benchmarks.side_by_side import RESULTS
from benchmarks.table import replace
from storage.files import read_json

PAGE = RESULTS.parent / "scale.md"
MARKS = "<!-- tables: make bench-scale writes them -->\n", "<!-- end of tables -->"
HOURS = 60_000
FEATURE_JOBS = 16  # jobs per part for its features, one for each shard
OTHER_JOBS = 3  # jobs per part for its manifest, units and reduced units
FRAMES_PER_SECOND, DIM = 50, 768
GPU_FLOPS = 20e12  # assumed operations per second of a GPU: an eighth of the peak of an A100 in TF32; no GPU was measured


def demand(scale, units, hours):
    """Return the resources that a corpus needs, as a dict.

    Args:
        scale: record of the benchmark `scale`. Its largest corpus has the size of a part.
        units: record of the benchmark `units`.
        hours: duration of the corpus in hours.
    """
    parts = -(-hours // scale["hours"])
    seconds = hours * 3600
    utterances = hours / scale["hours"] * scale["sizes"][-1]
    tables = {name: scale["bytes_per_utterance"][name] * utterances for name in ("manifest", "units", "reduced_units")}
    return dict(
        hours=hours,
        parts=parts,
        utterances=utterances,
        jobs=parts * (FEATURE_JOBS + OTHER_JOBS),
        cpu_hours=hours * units["ours"],
        gpu_hours=seconds * units["flops_per_second_of_audio"] / GPU_FLOPS / 3600,
        stage_hours={name: stage["cpu_seconds"][-1] * parts / 3600 for name, stage in scale["stages"].items()},
        bytes=dict(
            audio=seconds * 16_000 * 2,
            features=seconds * FRAMES_PER_SECOND * DIM * 4,
            features_of_a_part=scale["hours"] * 3600 * FRAMES_PER_SECOND * DIM * 4,
        )
        | tables,
    )


def stages_table(scale):
    """Return a Markdown table with the measurements of each stage."""
    sizes = scale["sizes"]
    lines = ["| stage | " + " | ".join(f"{size:,}" for size in sizes) + " | exponent | peak memory |"]
    lines.append("|---|" + "---|" * (len(sizes) + 2))
    for name, stage in scale["stages"].items():
        times = " | ".join(f"{cpu_seconds:.1f} s" for cpu_seconds in stage["cpu_seconds"])
        exponent = max(stage["exponent"], stage["late_exponent"])
        lines.append(f"| `{name}` | {times} | {exponent:.2f} | {max(stage['peak_memory_mb'])} MB |")
    return "\n".join(lines) + "\n"


def plan_table(need):
    """Return a Markdown table of the resources in the result of `demand`."""
    size = {name: f"{value / 1e12:.3g} TB" for name, value in need["bytes"].items()}
    rows = [
        ("parts, utterances, jobs", f"{need['parts']:.0f}, {need['utterances']:,.0f}, {need['jobs']:,.0f}", "permanent"),
        ("audio, 16 kHz, 16 bit", size["audio"], "permanent"),
        ("features of all parts, 768 × 4 bytes per frame", size["features"], "not with `features: none`"),
        ("features of one part", size["features_of_a_part"], "temporary, for each part that is being processed"),
        *((f"`{name}.parquet`", size[name], "permanent") for name in ("manifest", "units", "reduced_units")),
        ("features and units, HuBERT Base to layer 6, two CPU threads", f"{need['cpu_hours']:,.0f} h", "measured (`units`)"),
        ("the same on a GPU", f"{need['gpu_hours']:,.0f} h", f"operations counted, {GPU_FLOPS / 1e12:.0f} TFLOP/s assumed"),
        *(
            (f"`{name}`", f"{hours:,.1f} h", "measured on 100,000 utterances, one process")
            for name, hours in need["stage_hours"].items()
        ),
    ]
    lines = [f"| {need['hours']:,} hours | | |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines) + "\n"


def main():
    """Write both tables between their marks in scale.md."""
    scale = read_json(RESULTS / "scale.json")
    units = read_json(RESULTS / "units.json")
    facts = (
        f"{scale['sizes'][-1]:,} utterances, {scale['hours']:.0f} hours: {scale['jobs']} jobs from audio to acc.json, planned in "
        f"{scale['dry_run_cpu_seconds']:.1f} CPU seconds, with at most {scale['peak_memory_mb']} MB in any stage.\n"
    )
    replace(PAGE, MARKS, "\n".join([facts, stages_table(scale), plan_table(demand(scale, units, HOURS))]))


if __name__ == "__main__":
    main()
