"""The tables that corpora produces."""

import pyarrow as pa

from storage.tables import field, schema

MANIFEST = schema(
    "manifest",
    field("utterance_id", pa.string(), "name of the utterance, unique in the corpus"),
    field("path", pa.string(), "audio file, relative to the corpus root; null where the corpus starts at units", nullable=True),
    field("start_seconds", pa.float64(), "where in the file the utterance begins", unit="s"),
    field("end_seconds", pa.float64(), "where in the file it ends; null: with the file", unit="s", nullable=True),
    field("split", pa.string(), "train, dev or test"),
    field("speaker", pa.string(), "speaker; null where unknown, and where every speaker is in every split", nullable=True),
    field("labels", pa.list_(pa.string()), "what a task may ask for, in the order of the corpus's label_columns; or a sequence"),
    field("speed", pa.float32(), "factor by which the audio is played faster (1: as recorded; others: training copies)"),
    field(
        "num_samples",
        pa.int64(),
        "length as the encoder reads it: mono, at the corpus's sample rate, after `speed`",
        unit="samples",
    ),
    field("sample_rate", pa.int32(), "rate of the audio as the encoder reads it", unit="Hz"),
    field("source_sample_rate", pa.int32(), "rate of the file", unit="Hz"),
    field("source_channels", pa.int16(), "channels of the file (averaged to one)", unit="channels"),
    field("audio_hash", pa.string(), "BLAKE2b of the decoded samples; equal audio has equal hashes"),
    key=("utterance_id",),
    stage="make_manifest",
)


REJECTED = schema(
    "rejected",
    field("utterance_id", pa.string(), "name that the utterance would have had"),
    field("path", pa.string(), "audio file, relative to the corpus root"),
    field("reason", pa.string(), "code of the rule that the file breaks, see speech2unit/corpora/audio.py"),
    field("detail", pa.string(), "what was found"),
    key=("utterance_id",),
    stage="make_manifest",
)
