"""Check the values in the config.json of a model in the format of transformers."""

from storage.errors import data_error

MAX_COUNT = 1 << 16
OTHER_MODEL = (
    "write the architecture of this model into the column `architecture` of config/encoders.tsv: wav2vec2 (also for HuBERT, WavLM, "
    "UniSpeech, data2vec and SEW), wav2vec2_bert or whisper; other models are not supported"
)


def checked_value(config, key, is_valid, expected):
    """Return the value of a key.

    Args:
        config: content of config.json.
        key: the key; a missing one has the value None.
        is_valid: function that returns whether the value is valid.
        expected: the valid values, for the error message.

    Raises:
        ValueError: if the value is not valid.
    """
    value = config.get(key)
    if not is_valid(value):
        remedies = (OTHER_MODEL,) if key == "model_type" else ()
        raise unsupported(f"'{key}'", expected, f"{value!r:.80}", *remedies)
    return value


def unsupported(key, expected, got, remedy="take another checkpoint"):
    """Return the error for a value that our model does not support."""
    return data_error(
        "config.json",
        f"{key} must be what this project computes",
        expected=expected,
        got=got,
        remedy=remedy,
    )


def is_flag(value):
    """Return whether a value is true or false."""
    return type(value) is bool


def is_count(value):
    """Return whether a value is a positive number of a plausible size."""
    return type(value) is int and 0 < value <= MAX_COUNT


def are_counts(values):
    """Return whether a value is a list of such numbers."""
    return type(values) is list and 0 < len(values) <= 32 and all(map(is_count, values))
