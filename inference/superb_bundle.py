"""The bundle of a SUPERB task: the tuned encoder, its head and its classes, in one folder."""

from functools import partial
from pathlib import Path

from inference.bundle import task_description
from inference.bundle_files import write_bundle
from inference.card import card
from speech2unit.encoders import all_layers
from storage.files import read_json
from superb.inputs import read_classes
from superb.labels import SEQUENCES


def superb_bundle(*, score, classes, model, config, tuned, bundle, kind, tuning, head, parts):
    """Stage: write the bundle of a SUPERB task. See `inference.bundle_files`.

    Args:
        score: score.json of the task, for its metrics.
        classes: table of `CLASSES`.
        model, config: the encoder.
        tuned: the trained tensors of all seeds.
        bundle: folder to write.
        kind: kind of the task, such as KS.
        tuning, head: see `superb.model.build_model`.
        parts: dicts `part`, `name`, `origin`, `licence`: one for each part.
    """
    from safetensors.torch import load_file

    slots = read_classes(classes)
    encoder = all_layers(Path(model).parent)
    answer_kind = "segments" if kind == "SD" else "sequence" if kind in SEQUENCES else "class"
    report = read_json(score)
    description = task_description(report | dict(task=report["superb_task"])) | dict(
        kind="encoder",
        input_kind="audio",
        answer_kind=answer_kind,
        labels=slots[0] if len(slots) == 1 else sorted({label for slot in slots for label in slot}),
        codebook=None,
        encoder=encoder[0]["architecture"],
        parts=parts,
    )
    write_bundle(
        bundle,
        description,
        json_files={"task.json": dict(kind=kind, classes=slots, tuning=tuning, head=head)},
        tensors={"tuned.safetensors": load_file(tuned)},
        encoder=encoder,
        card=partial(card, description),
    )
