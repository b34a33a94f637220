"""What a corpus of 60,000 hours takes, from the figures that were measured: the tables of benchmarks/scale.md."""

from benchmarks.side_by_side import RESULTS
from benchmarks.table import replace
from storage.files import read_json

PAGE = RESULTS.parent / "scale.md"
MARKS = "<!-- tables: make bench-scale writes them -->\n", "<!-- end of tables -->"
HOURS = 60_000
SHARDS, OTHER_JOBS = 16, 3  # of a part: its features; its manifest, units and reduced units
FRAMES_PER_SECOND, DIM = 50, 768
GPU_FLOPS = 20e12  # a second that a GPU is assumed to keep up: an eighth of the peak of an A100 in TF32; no GPU was measured
TEMPORARY = "features"


def demand(scale, units, hours):
    """Figures of a corpus of so many hours that is cut into parts of the size that was measured."""
    parts = -(-hours // scale["hours"])
    seconds, utterances = hours * 3600, hours / scale["hours"] * scale["sizes"][-1]
    tables = {name: scale["bytes_an_utterance"][name] * utterances for name in ("manifest", "units", "reduced_units")}
    return dict(
        hours=hours,
        parts=parts,
        utterances=utterances,
        jobs=parts * (SHARDS + OTHER_JOBS),
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
    """Markdown table of what was measured, a row a stage."""
    sizes = scale["sizes"]
    lines = ["| stage | " + " | ".join(f"{size:,}" for size in sizes) + " | exponent | peak memory |"]
    lines += ["|---|" + "---|" * (len(sizes) + 2)]
    for name, stage in scale["stages"].items():
        times = " | ".join(f"{found:.1f} s" for found in stage["cpu_seconds"])
        lines += [
            f"| `{name}` | {times} | {max(stage['exponent'], stage['late_exponent']):.2f} | {max(stage['peak_memory_mb'])} MB |"
        ]
    return "\n".join(lines) + "\n"


def plan_table(need):
    """Markdown table of the demand."""
    size = {name: f"{value / 1e12:.3g} TB" for name, value in need["bytes"].items()}
    rows = [
        ("parts, utterances, jobs", f"{need['parts']:.0f}, {need['utterances']:,.0f}, {need['jobs']:,.0f}", "stays"),
        ("audio, 16 kHz, 16 bit", size["audio"], "stays"),
        ("features, 768 × 4 bytes a frame, of all parts", size["features"], "temporary with `keep_features: false`"),
        ("features, of one part", size["features_of_a_part"], "so much space for each part that is in work"),
        *((f"`{name}.parquet`", size[name], "stays") for name in ("manifest", "units", "reduced_units")),
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
    """Put both tables between their marks on the page."""
    scale, units = (read_json(RESULTS / f"{name}.json") for name in ("scale", "units"))
    facts = (
        f"{scale['sizes'][-1]:,} utterances, {scale['hours']:.0f} hours: {scale['jobs']} jobs from nothing to acc.json, planned in "
        f"{scale['dry_run_cpu_seconds']:.1f} s of computing; at most {scale['peak_memory_mb']} MB in any stage.\n"
    )
    replace(PAGE, *MARKS, "\n".join([facts, stages_table(scale), plan_table(demand(scale, units, HOURS))]))


if __name__ == "__main__":
    main()
