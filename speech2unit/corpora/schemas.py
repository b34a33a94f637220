"""The tables that the corpora stages produce: types, units and meanings of the columns, and keys."""

import pyarrow as pa

from storage.tables import field, schema

MANIFEST = schema(
    "manifest",
    field("utterance_id", pa.string(), "name of the utterance, unique in the corpus"),
    field("path", pa.string(), "audio file, relative to the corpus root; null if the corpus starts at units", nullable=True),
    field("start_seconds", pa.float64(), "start of the utterance in the file", unit="s"),
    field("end_seconds", pa.float64(), "end of the utterance in the file; null: the end of the file", unit="s", nullable=True),
    field("split", pa.string(), "train, dev or test"),
    field("speaker", pa.string(), "speaker; null if unknown, or if every speaker is in every split", nullable=True),
    field(
        "labels",
        pa.list_(pa.string()),
        "labels that a task may predict: one per label column of the corpus, or a sequence",
    ),
    field("speed", pa.float32(), "factor by which the audio is played faster; 1: as recorded, others: training copies"),
    field(
        "num_samples",
        pa.int64(),
        "length of the audio as the encoder reads it: mono, at sample_rate, after the change of speed",
        unit="samples",
    ),
    field("sample_rate", pa.int32(), "sample rate of the audio as the encoder reads it", unit="Hz"),
    field("source_sample_rate", pa.int32(), "sample rate of the file", unit="Hz"),
    field(
        "source_channels",
        pa.int16(),
        "channels of the file, which are averaged; where they cancel each other, one is taken",
        unit="channels",
    ),
    field(
        "audio_hash",
        pa.string(),
        "BLAKE2b hash of the samples, so that equal audio has equal hashes; of the compressed audio where samples depend on the decoder",
    ),
    key=("utterance_id",),
    stage="make_manifest",
)


REJECTED = schema(
    "rejected",
    field("utterance_id", pa.string(), "name that the utterance would have had"),
    field("path", pa.string(), "audio file, relative to the corpus root"),
    field("reason", pa.string(), "code of the rule that the file breaks; the codes are in speech2unit/corpora/audio.py"),
    field("detail", pa.string(), "what is wrong with the file, and what to type"),
    key=("utterance_id",),
    stage="make_manifest",
)


FILES = schema(
    "files",
    field(
        "utterance_id", pa.string(), "name of the recording, unique in the corpus: its path with - for /, without the extension"
    ),
    field("path", pa.string(), "audio file, relative to the corpus root; null if the corpus starts at units", nullable=True),
    field("start_seconds", pa.float64(), "start of the utterance in the file", unit="s"),
    field("end_seconds", pa.float64(), "end of the utterance in the file; null: the end of the file", unit="s", nullable=True),
    field("split", pa.string(), "train, dev or test; null where the corpus does not say", nullable=True),
    field("labels", pa.list_(pa.string()), "as in the manifest; null where the corpus has none", nullable=True),
    field("units", pa.list_(pa.int16()), "units of a corpus that starts at units; null for audio", nullable=True),
    field("reason", pa.string(), "bad_name for a name that cannot be stored as it is; null for all others", nullable=True),
    field("detail", pa.string(), "what is wrong with the name; null without a reason", nullable=True),
    key=("utterance_id",),
    stage="list_files",
)
