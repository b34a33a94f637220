"""Settings of the stages of a SUPERB task, from its row and the presets that the row names."""


def training_settings(row, config, rate_factor):
    """Return how a task is trained: the presets of its head and its tuning as one dict, and its `kind`.

    Args:
        row: a row of `superb_tasks`, with one `tuning`.
        config: the config.
        rate_factor: factor of both learning rates; 1 except in a sweep.
    """
    head = config["superb_heads"][row["head"]]
    tuning = config["tune_encoder"][row["tuning"]]
    learning_rate = rate_factor * head["optimization"]["learning_rate"]
    return head | dict(
        kind=row["kind"],
        tuning=tuning["tuning"],
        encoder_learning_rate=rate_factor * tuning["encoder_learning_rate"],
        optimization=head["optimization"] | dict(learning_rate=learning_rate),
    )
