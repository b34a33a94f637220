"""The folder of a bundle: a trained task with everything that it takes to label recordings.

    bundle.json                what the bundle is: task, labels, settings, metrics, origin and licence of every part
    README.md                  the same for people, a model card
    encoder/                   config.json and model.safetensors of the encoder, without the layers that nothing reads
    codebook.safetensors       centroids, and the projection that comes before them
    unit_lm/                   config.json and model.safetensors of the unit LM
    task.json                  vocabulary, legal answers and decoding settings, or classes and head of a SUPERB task
    tuned.safetensors          what was trained for the task: the prompts (or whatever else) of every seed
    SHA256SUMS                 SHA-256 of every other file, as `sha256sum --check` reads it

All of it is safetensors, JSON or text, so that a bundle from a stranger runs no code.
"""

import json
from pathlib import Path

from storage.errors import data_error
from storage.files import CHECKSUM_LIST, atomic_folder, make_readable, sha256

FORMAT = 1  # version of the layout above
UNLISTED = (CHECKSUM_LIST, ".snakemake_timestamp")  # Snakemake puts the time into a folder that a rule makes


def write_bundle(folder, description, *, json_files, tensors, encoder, card):
    """Write a bundle, completely or not at all.

    Args:
        folder: folder to write.
        description: content of bundle.json, without `format`.
        json_files: file name below the bundle → its content; `task.json` is one of them.
        tensors: file name below the bundle → tensors by name.
        encoder: None, or the encoder's settings and tensors (see `speech2unit.encoders.layers_up_to`).
        card: function that maps file name → bytes to the text of README.md.
    """
    from safetensors.torch import save_file

    with atomic_folder(folder) as temporary:
        if encoder:
            settings, encoder_tensors = encoder
            json_files = json_files | {"encoder/config.json": settings}
            tensors = tensors | {"encoder/model.safetensors": encoder_tensors}
        for name, content in {"bundle.json": dict(format=FORMAT) | description, **json_files}.items():
            _write_json(_in_folder(temporary, name), content)
        for name, by_name in tensors.items():
            contiguous = {key: tensor.detach().cpu().contiguous() for key, tensor in by_name.items()}
            save_file(contiguous, _in_folder(temporary, name))
            make_readable(temporary / name)
        sizes = {path.relative_to(temporary).as_posix(): path.stat().st_size for path in bundle_files(temporary)}
        (temporary / "README.md").write_text(card(sizes))


def read_bundle(folder):
    """Check every file of a bundle against its hash, and return the contents of bundle.json and task.json.

    Raises:
        ValueError: if the folder is no bundle of this version, or a file is missing, new or changed.
    """
    folder = Path(folder)
    if not (folder / "bundle.json").is_file():
        raise data_error(
            folder,
            "a bundle is a folder with bundle.json",
            expected="a folder such as results/SCR/bundle",
            got="no bundle.json",
            remedy="correct the path, or make the bundle: snakemake --cores all results/SCR/bundle, with the name of your task",
        )
    check_hashes(folder)
    description = json.loads((folder / "bundle.json").read_text())
    if description.get("format") != FORMAT:
        raise data_error(
            folder / "bundle.json",
            "the bundle must have the format of this version of the project",
            expected=f"format {FORMAT}",
            got=f"format {description.get('format')}",
            remedy="make the bundle again, or use the version of the project that made it",
        )
    return description, json.loads((folder / "task.json").read_text())


def check_hashes(folder):
    """Check that a bundle has exactly the files that it was written with. Raises `ValueError` with the names of the others."""
    folder = Path(folder)
    listed = {}
    if (folder / CHECKSUM_LIST).is_file():
        for line in (folder / CHECKSUM_LIST).read_text().splitlines():
            digest, _, name = line.partition("  ")
            listed[name] = digest
    present = {path.relative_to(folder).as_posix() for path in bundle_files(folder)}
    changed = [name for name in sorted(present & set(listed)) if sha256(folder / name) != listed[name]]
    problems = [f"{name} is missing" for name in sorted(set(listed) - present)]
    problems += [f"{name} is not in the list" for name in sorted(present - set(listed))]
    problems += [f"{name} is changed" for name in changed]
    if problems or not listed:
        raise data_error(
            folder,
            f"a bundle must have the files of its {CHECKSUM_LIST}, unchanged",
            expected=f"{len(listed)} files with these hashes",
            got="; ".join(problems[:3]) or f"no {CHECKSUM_LIST}",
            remedy="copy the bundle again, or make it again",
        )


def bundle_files(folder):
    """Return the files of a bundle except its list of hashes and what Snakemake adds."""
    unlisted = [folder / name for name in UNLISTED]
    return sorted(path for path in folder.rglob("*") if path.is_file() and path not in unlisted)


def _in_folder(folder, name):
    """Return the path of a file to write below a folder, whose own folder exists then."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    return path


def _write_json(path, value):
    path.write_text(json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
