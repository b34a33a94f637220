"""Audio SNIPS: the transcript with its slots as one sequence of symbols, in SUPERB's split (speaker-disjoint).

Expected, as s3prl's `preprocess/snips_prepare_data.sh` makes them: `all.iob.snips.txt` and `{train,valid,test}/{utterance}.wav`.
The symbols are characters, | between words, `<slot>` before the words of a slot, and `</>` after them: 39 + 1 + 28.

**Source:** SUPERB, arXiv 2105.01051 (slot filling; it writes B-slot and E-slot); its speakers of each split.
"""

import unicodedata
from pathlib import Path

from speech2unit.corpora.adapters.librispeech import character_symbols
from speech2unit.corpora.layouts import numbered_lines, utterance_row, with_labels
from storage.errors import data_error

SOURCE = "https://github.com/s3prl/s3prl/blob/main/s3prl/downstream/docs/superb.md (slot filling)"
SPEAKERS = dict(
    train="Ivy Joanna Joey Justin Kendra Kimberly Matthew Salli",
    dev="Aditi Amy Geraint Nicole",
    test="Brian Emma Raveena Russell",
)
FOLDERS = dict(train="train", dev="valid", test="test")
SPLITS = {(speaker, FOLDERS[split]): split for split, names in SPEAKERS.items() for speaker in names.split()}
CLOSE = "</>"
LIGATURES = str.maketrans("ÆÐØ", "ADO", '"')  # as SUPERB writes them


def read_rows(*, root, label_columns):
    """Return rows with label column `symbols[]`: play jazz (O B-genre) → P L A Y | <genre> J A Z Z </>.

    A line is `Ivy-snips-train-0 BOS play jazz EOS⇥O O B-genre PlayMusic`: tags of BOS and the words, then the intent. Texts
    of speakers that belong to another split are left out, as in SUPERB.

    Arguments and errors: see `speech2unit.corpora.adapters`.
    """
    place = Path(root) / "all.iob.snips.txt"
    rows = []
    for number, line in numbered_lines(place, SOURCE):
        spoken, _, tagged = line.partition("\t")
        name = spoken.split()[0]
        words = spoken.split()[2:-1]  # without BOS and EOS
        tags = tagged.split()[1:-1]  # without the tag of BOS and the intent
        parts = name.split("-")
        if len(words) != len(tags) or not words or len(parts) != 4:
            raise data_error(
                f"{place}, line {number}",
                "each word has its slot tag",
                expected="name BOS words EOS, a tab, tags, intent",
                got=f"'{line[:60]}'",
                remedy=f"make the file again as {SOURCE} says",
            )
        if split := SPLITS.get((parts[0], parts[2])):
            symbols = symbols_of(words, tags, place)
            rows.append(utterance_row(f"{parts[2]}/{name}.wav", split, {"symbols[]": symbols}, parts[0]))
    return with_labels(rows, label_columns)


def symbols_of(words, tags, place):
    """Return one sequence of characters and slot symbols for words and their tags (O, B-slot, I-slot)."""
    symbols = []
    slot = None
    for word, tag in zip(words, tags):
        if slot and tag != f"I-{slot}":
            symbols.append(CLOSE)
        symbols += ["|"] if symbols else []
        if tag != "O" and tag != f"I-{slot}":
            symbols.append(f"<{tag[2:]}>")
        slot = None if tag == "O" else tag[2:]
        symbols += character_symbols(_plain(word), place, SOURCE)
    return symbols + ([CLOSE] if slot else [])


def _plain(word):
    """Return a word in upper case, without accents and quotation marks: `"Beyoncé"` → BEYONCE."""
    letters = unicodedata.normalize("NFKD", word.upper().translate(LIGATURES))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
