"""The model card of a bundle: README.md, as people read it."""

KINDS = dict(prompt="a prompted unit language model", encoder="an encoder that was tuned for the task, with a head")


def card(description, sizes):
    """Return the text of the card.

    Args:
        description: content of bundle.json.
        sizes: file name → bytes.
    """
    lines = [
        f"# {description['task']}",
        "",
        f"This folder labels recordings with {KINDS[description['kind']]}. It was trained on the corpus "
        f"`{description['corpus']}` and answers with {_answers(description)}.",
        "",
        "```bash",
        "python -m inference label path/to/this/folder a.wav",
        "```",
        "",
        "```python",
        "from inference import Recognizer",
        "",
        'Recognizer.load("path/to/this/folder")("a.wav").label',
        "```",
        "",
        "It reads " + _input(description) + "." + _packages(description),
        "",
        "## How good it is",
        "",
        *_table(("metric", "split", "value", "95 % interval"), metric_rows(description)),
        "",
        f"Measured on {description['num_test_rows']} test rows, mean over seeds {_join(description['seeds'])}. Seed "
        f"{description['best_seed']} answers unless another is asked for: it was best on the dev split.",
        "",
        "## Labels",
        "",
        ", ".join(f"`{label}`" for label in description["labels"]),
        "",
        "## Parts, origin and licence",
        "",
        *_table(("part", "name", "origin", "licence"), [tuple(part.values()) for part in description["parts"]]),
        "",
        "## Files",
        "",
        *_table(("file", "size"), [(name, readable_size(size)) for name, size in [*sizes.items(), ("all", sum(sizes.values()))]]),
        "",
        "All files are safetensors, JSON or text. `sha256sum --check SHA256SUMS` checks them, and `Recognizer.load` does so too.",
    ]
    return "\n".join(lines) + "\n"


def metric_rows(description):
    """Return rows (metric, split, value, interval) of a description's metrics and baselines, as text."""
    rows = []
    for metric in description["metrics"]:
        rows.append((metric["metric"], "test", *_value(metric)))
        if metric["dev"]:
            rows.append((metric["metric"], "dev", *_value(metric["dev"])))
        for name, baseline in metric["baselines"].items():
            rows.append((f"{metric['metric']} of the baseline {name}", "test", *_value(baseline)))
    return rows


def readable_size(num_bytes):
    """Return a size as text: `8.1 MB`."""
    return f"{num_bytes / 1e6:.1f} MB" if num_bytes >= 1e5 else f"{num_bytes / 1e3:.1f} kB"


def _value(values):
    low, high = values.get("value_low"), values.get("value_high")
    return f"{values['value']:.4f}", "" if low is None else f"{low:.4f} to {high:.4f}"


def _answers(description):
    count = len(description["labels"])
    if description["answer_kind"] == "class":
        return f"one of {count} answers"
    return f"a sequence of {count} symbols" if description["answer_kind"] == "sequence" else "who speaks when"


def _packages(description):
    packages = description.get("extra_packages")
    return f" Besides the usual packages it needs {' and '.join(packages)}." if packages else ""


def _input(description):
    if description["input_kind"] == "units":
        return f"units of the codebook `{description['codebook']['name']}`, not audio"
    return "audio files of any sample rate and number of channels"


def _join(values):
    return ", ".join(map(str, values))


def _table(header, rows):
    """Return the lines of a Markdown table."""
    return [f"| {' | '.join(map(str, row))} |" for row in (header, ["---"] * len(header), *rows)]
