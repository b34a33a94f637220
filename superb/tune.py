"""Training of a `TaskModel`: the head and the weights of the layers at one learning rate, what is in the encoder at another."""

from training.fit import fit


def tune(model, *, batches, dev_batches, learning_rate, encoder_learning_rate, **settings):
    """Train in place what the model's settings say, keep the best by dev loss, return the curve (rows of `TRAINING`).

    batches: number from 0 → endless iterator of (inputs, targets); dev_batches: a list of them; encoder_learning_rate: of
    prompts, adapters and of the encoder itself; settings: the others of `training.fit.fit`. Vectors that start from
    the encoder's own activations take them from the first training batch. **Source:** arXiv 2210.06175, whose two groups of
    parameters these are.
    """
    model.tuning_module.initialize(model.trunk, next(batches(0))[0])
    factor = encoder_learning_rate / learning_rate
    return fit(
        model,
        loss=model.loss,
        batches=batches,
        evaluate=lambda: model.measures(dev_batches),
        learning_rate=learning_rate,
        rate_factors={"inside.": factor, "trunk.": factor},
        **settings,
    )
