"""The command line of trained tasks: `label` recordings, `info` about a bundle, a `page` for the browser.

python -m inference label results/SCR/bundle recordings/ --csv > answers.csv
python -m inference info results/SCR/bundle
"""

import argparse
import os
import shutil
import sys
import textwrap
from pathlib import Path

from storage.errors import data_error

PROGRAM = "python -m inference"
ALL_LABELLED, SOME_NOT, NONE_LABELLED = 0, 1, 2  # exit status; a wrong command also ends with 2
INTERRUPTED = 130  # exit status after Ctrl-C, as shells have it
READER_GONE = 141  # exit status where the reader of the output has ended, such as `head`
MAX_WIDTH = 120  # of text that is wrapped


def main(arguments=None):
    """Run the command and return its exit status.

    Args:
        arguments: words of the command; None: those of the process.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parser(with_page="page" in arguments[:1]).parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # names of files may be no UTF-8
    try:
        return options.run(options)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it closes standard output
        return READER_GONE
    except KeyboardInterrupt:
        return INTERRUPTED
    except ValueError as error:
        return _fail(error)
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":
            raise
        return _fail(f"the memory of the GPU is full ({error}); choose a smaller --batch-size, or --device cpu")


def parser(with_page=False):
    """Return the parser of the command line.

    Args:
        with_page: whether to import what `page` needs.
    """
    top = argparse.ArgumentParser(prog=PROGRAM, description="Apply a trained task (a bundle) to new recordings.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    _add_label(commands.add_parser("label", help="label recordings", description=LABEL_DESCRIPTION))
    info = commands.add_parser(
        "info", help="say what a bundle is", description="Check the files of a bundle and show what it is."
    )
    info.add_argument("bundle", metavar="BUNDLE", help="folder such as results/SCR/bundle")
    info.set_defaults(run=show_info)
    page = commands.add_parser(
        "page", help="try bundles in the browser", description="Show a page on which bundles can be tried."
    )
    if with_page:
        _add_page(page)
    return top


LABEL_DESCRIPTION = "Label recordings. Exit status: 0 if all are labelled, 1 if some cannot be used, 2 if none is labelled or the command is wrong."


def _add_label(command):
    """Add the arguments of `label`."""
    command.add_argument("bundle", metavar="BUNDLE", help="folder such as results/SCR/bundle")
    command.add_argument(
        "inputs",
        metavar="INPUT",
        nargs="+",
        help="an audio file; a folder (all files below it, without hidden names and transcripts); - for one audio file on standard input; "
        "@list.txt for a text file with one path per line. For bundles that take units: text files with one utterance per line, "
        "units with blanks between them, and perhaps a name and a tab before them",
    )
    formats = command.add_mutually_exclusive_group()
    formats.add_argument("--csv", action="store_true", help="print CSV instead of an aligned table")
    formats.add_argument("--jsonl", action="store_true", help="print one JSON object per line, with units and their durations")
    formats.add_argument("--parquet", metavar="FILE", help="write a Parquet file (needs pyarrow)")
    command.add_argument(
        "--seed", type=int, help="seed of the tuned parameters; default: the seed that was best on the dev split"
    )
    command.add_argument("--device", help="where to compute, such as cpu or cuda:1; default: a GPU if there is one")
    command.add_argument("--batch-size", type=_count, default=32, help="recordings that are computed together; default: 32")
    command.add_argument("--n-best", type=_natural, default=3, help="most probable answers to list; default: 3, and 0 saves time")
    command.set_defaults(run=label_inputs)


def _add_page(command):
    """Add the arguments of `page`, which says itself what to install."""
    from inference import page

    page.add_arguments(command)
    command.set_defaults(run=page.run)


def label_inputs(options):
    """Label the inputs and return the exit status."""
    from inference.inputs import audio_items, check_arguments, unit_items
    from inference.labelling import label
    from inference.recognizer import Recognizer
    from speech2unit.corpora.audio import BadAudio, as_waveform

    check_arguments(options.inputs)
    _check_device(options.device)
    recognizer = Recognizer.load(options.bundle, device=options.device, seed=options.seed)
    takes_units = recognizer.input_kind == "units"
    items = (unit_items if takes_units else audio_items)(options.inputs)

    def read(item):
        if isinstance(item.content, BadAudio):
            raise item.content
        return item.content if takes_units else (as_waveform(item.content, recognizer.sample_rate), recognizer.sample_rate)

    settings = dict(batch_size=options.batch_size, num_best=options.n_best, num_workers=2)
    num_items = num_labelled = 0
    with _output(options) as out:
        for item, result in label(recognizer, items, read, name_of=lambda item: Path(item.name).stem, **settings):
            out.write(item.name, result)
            num_items += 1
            num_labelled += not isinstance(result, BadAudio)
    if num_labelled < num_items or options.parquet or not num_items:
        print(f"{num_labelled} of {num_items} inputs labelled", file=sys.stderr)
    if not num_labelled:
        return NONE_LABELLED
    return ALL_LABELLED if num_labelled == num_items else SOME_NOT


def _output(options):
    """Return the writer of the chosen format."""
    from inference.outputs import AlignedTable, CsvRows, JsonLines, ParquetRows

    if options.csv:
        return CsvRows(options.n_best)
    if options.jsonl:
        return JsonLines()
    if options.parquet:
        return ParquetRows(options.parquet)
    return AlignedTable(options.batch_size)


def show_info(options):
    """Print what a bundle is, after checking its files against their hashes."""
    from inference.bundle_files import read_bundle
    from inference.card import metric_rows
    from inference.outputs import aligned, printable

    description, _ = read_bundle(options.bundle)
    width = min(shutil.get_terminal_size().columns, MAX_WIDTH)
    labels = ", ".join(map(str, description["labels"]))
    print(
        f"{description['task']}: {description['answer_kind']} of {description['input_kind']}, trained on {description['corpus']}"
    )
    print(textwrap.fill(f"{len(description['labels'])} labels: {printable(labels)}", width, subsequent_indent="  "))
    sections = {
        f"Metrics, on {description['num_test_rows']} test rows, mean over seeds {_join(description['seeds'])}": [
            ("metric", "split", "value", "95 % interval"),
            *metric_rows(description),
        ],
        "Parts": [("part", "name", "origin", "licence"), *(tuple(part.values()) for part in description["parts"])],
        "Files, all as their hashes say": [*_file_sizes(options.bundle)],
    }
    for title, rows in sections.items():
        print(f"\n{title}")
        for line in aligned([tuple(printable(str(cell)) for cell in row) for row in rows]):
            print(f"  {line}")
    print(f"\nSeed {description['best_seed']} answers unless another is asked for: it was best on the dev split.")
    return ALL_LABELLED


def _file_sizes(bundle):
    """Yield rows (file, size) of a bundle, and of all files together."""
    from inference.bundle_files import bundle_files
    from inference.card import readable_size

    total = 0
    for path in bundle_files(Path(bundle)):
        total += path.stat().st_size
        yield path.relative_to(bundle).as_posix(), readable_size(path.stat().st_size)
    yield "all", readable_size(total)


def _check_device(name):
    """Check that there is such a device. Raises `ValueError`."""
    if name is None:
        return
    import torch

    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    num_gpus = torch.cuda.device_count()
    if device is None or (device.type == "cuda" and (device.index or 0) >= num_gpus):
        raise data_error(
            "--device",
            "the device must exist",
            expected=", ".join(["cpu", *(f"cuda:{number}" for number in range(num_gpus))]),
            got=f"'{name}'",
            remedy="choose one of these",
        )


def _count(text):
    """Return a whole number of at least 1."""
    return _natural(text, lowest=1)


def _natural(text, lowest=0):
    """Return a whole number of at least `lowest`."""
    if not text.isdecimal() or int(text) < lowest:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number of at least {lowest}")
    return int(text)


def _join(values):
    return ", ".join(map(str, values))


def _fail(error):
    """Print an error and return the exit status of a command that labelled nothing."""
    print(f"{PROGRAM}: {error}", file=sys.stderr)
    return NONE_LABELLED
