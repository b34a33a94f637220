"""VoxForge: which of six languages is spoken.

Expected, with the folders of the server: `downloads/{de,SpeechCorpus,es,fr,it,ru}/Trunk/Audio/Main/16kHz_16bit/
{speaker}-{date}-{code}/{wav,flac}/*` (SpeechCorpus is English; en is accepted too), below any folder that `wget -x` makes for
the server. No split is published, so speakers are assigned to splits; each submission of an anonymous speaker counts as a
speaker. (SpeechPrompt v2 uses 1800 clips per language.)

**Source:** https://www.voxforge.org
"""

from pathlib import Path

from speech2unit.corpora.file_trees import OUTSIDE, is_audio_name, leave_out
from speech2unit.corpora.layouts import look_up, matching_paths, utterance_row, with_labels
from speech2unit.corpora.splits import split_by_hash
from storage.errors import data_error
from storage.text import normalize_name

SOURCE = "https://www.voxforge.org (archives: https://storage.googleapis.com/tfds-data/downloads/voxforge/voxforge_urls.txt)"
LANGUAGES = dict(de="de", en="en", SpeechCorpus="en", es="es", fr="fr", it="it", ru="ru")


def read_rows(*, root, label_columns):
    """Return rows with label column `language`: `downloads/de/…/anna-2010-x/wav/de5-001.wav` → speaker de-anna, [de].

    Arguments and errors: see `speech2unit.corpora.adapters`.
    """
    rows = []
    for folder in matching_paths(Path(root), "**/downloads/*/Trunk/Audio/Main/16kHz_16bit", SOURCE):
        language = look_up(folder.parents[3].name, LANGUAGES, folder, SOURCE)
        for path in matching_paths(folder, "*/*/*", SOURCE):
            if path.parent.name in ("wav", "flac"):
                rows.append(_row(path, root, language))
            elif is_audio_name(path.name):
                leave_out(OUTSIDE, path)
    _check_languages(rows, root)
    return with_labels(rows, label_columns)


def _row(path, root, language):
    """Return the row of a file."""
    submission = normalize_name(path.parents[1].name)
    name = submission.split("-")[0]
    speaker = f"{language}-{submission if name.lower() == 'anonymous' else name}"
    return utterance_row(path.relative_to(root).as_posix(), split_by_hash(speaker), dict(language=language), speaker)


def _check_languages(rows, root):
    """Check the languages of all rows. Raises `ValueError` if one of the six languages is missing."""
    languages = {row["labels"]["language"] for row in rows}
    if languages != set(LANGUAGES.values()):
        raise data_error(
            root,
            "the corpus must have all six languages",
            expected=f"{sorted(set(LANGUAGES.values()))}",
            got=f"{sorted(languages)}",
            remedy=f"get the others from {SOURCE}",
        )
