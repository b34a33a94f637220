"""Train a `TaskModel` with two learning rates: one for the head and the layer weights, one for all that changes the encoder."""

from training.fit import fit


def tune(model, *, batches, dev_batches, num_updates, encoder_learning_rate, optimization, seed):
    """Train a model in place and leave it with the parameters that had the lowest dev loss.

    Args:
        model: a `TaskModel`. Its tuning module is initialized from the inputs of the first training batch.
        batches: function that maps a number, from 0, to an endless iterator over (inputs, targets); see `training.fit.fit`.
        dev_batches: list of (inputs, targets).
        num_updates: number of updates.
        encoder_learning_rate: peak learning rate of the tuning module and of the encoder's own parameters.
        optimization: arguments of `training.fit.fit`. Their `learning_rate` is that of the head and the layer weights.
        seed: seed of the random numbers.

    Returns:
        The training curve, rows of `storage.schemas.TRAINING`.

    **Source:** the two groups of parameters are those of arXiv 2210.06175.
    """
    inputs, _ = next(batches(0))
    model.tuning_module.initialize(model.trunk, inputs)
    factor = encoder_learning_rate / optimization["learning_rate"]
    return fit(
        model,
        loss=model.loss,
        batches=batches,
        evaluate=lambda: model.measures(dev_batches),
        num_updates=num_updates,
        rate_factors={"inside.": factor, "trunk.": factor},
        seed=seed,
        **optimization,
    )
