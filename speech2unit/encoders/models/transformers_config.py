"""Check the values in the config.json of a model in the format of transformers."""

from storage.errors import data_error

MAX_COUNT = 1 << 16
ARCHITECTURE_OF = {  # model_type → architecture that computes such models
    "hubert": "wav2vec2",
    "wav2vec2": "wav2vec2",
    "wavlm": "wav2vec2",
    "unispeech": "wav2vec2",
    "unispeech-sat": "wav2vec2",
    "data2vec-audio": "wav2vec2",
    "sew": "wav2vec2",
    "wav2vec2-bert": "wav2vec2_bert",
    "whisper": "whisper",
}


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
        raise unsupported(f"'{key}'", expected, f"{value!r:.80}")
    return value


def checked_model_type(config, architecture):
    """Return the `model_type` of a config.json. Raises `ValueError` if the architecture does not compute such models."""
    model_type = config.get("model_type")
    right = ARCHITECTURE_OF.get(model_type) if isinstance(model_type, str) else None
    if right != architecture:
        expected = [known for known, its_architecture in ARCHITECTURE_OF.items() if its_architecture == architecture]
        raise data_error(
            "config.json",
            f"'model_type' must be one that the architecture '{architecture}' computes",
            expected=f"{'one of ' if len(expected) > 1 else ''}{', '.join(expected)}",
            got=f"{model_type!r:.80}",
            remedy=f"write {right} into the column `architecture` of the encoder in config/encoders.tsv"
            if right
            else "take another checkpoint; such models are not supported",
        )
    return model_type


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
