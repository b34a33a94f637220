"""Confidence intervals from a few numbers, in a module of their own, so that an edit of a metric reruns no manifest."""

import math
import statistics

Z_95 = 1.959963984540054  # quantile of the normal distribution for a two-sided 95 % interval


def wilson_interval(num_correct, num_rows):
    """Return the 95 % interval (low, high) of a proportion, valid also for few rows and near 0 and 1.

    **Source:** Wilson 1927.
    """
    p = num_correct / num_rows
    z2 = Z_95**2
    centre = p + z2 / (2 * num_rows)
    spread = Z_95 * math.sqrt(p * (1 - p) / num_rows + z2 / (4 * num_rows * num_rows))
    return float((centre - spread) / (1 + z2 / num_rows)), float((centre + spread) / (1 + z2 / num_rows))


def student_interval(values):
    """Return the 95 % interval (low, high) of the mean of a few values, such as those of folds, by Student's t.

    Folds share training rows, so that their values are not independent and the interval is a little too narrow.
    **Source:** Student 1908; on folds, Bengio and Grandvalet 2004.
    """
    from scipy.stats import t  # here, because manifests use this module and need no scipy

    mean = statistics.fmean(values)
    spread = float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return mean - spread, mean + spread
