"""Plot the waveform, the Mel spectrogram and the units of some utterances, one below the other."""

from collections import Counter
from pathlib import Path

import numpy as np

from evaluation.figures import SPLIT_COLOURS, new_figure, save
from speech2unit import encoders
from speech2unit.corpora.audio import read_utterance
from speech2unit.corpora.schemas import MANIFEST
from speech2unit.encoders.models.log_mel import NUM_MELS, log_mel
from speech2unit.schemas import REDUCED_UNITS
from storage import tables

MEL_HOP_SECONDS = 0.010
MEL_WINDOW_SECONDS = 0.025
MEL_RANGE_HZ = (20, 8000)  # as in Kaldi at 16 kHz
TICKS_HZ = (500, 1000, 2000, 4000)
DYNAMIC_RANGE_DB = 60
GOLDEN_RATIO = 0.618034
ENVELOPE_POINTS = 800


def choose(rows, num_utterances, seed):
    """Choose dev rows at random, with as many different labels as possible.

    Args:
        rows: rows of `MANIFEST`. Copies at other speeds are left out.
        num_utterances: number of rows to choose.
        seed: seed of the choice.
    """
    rows = [row for row in rows if row["split"] == "dev" and row["speed"] == 1]
    shuffled = [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))]
    times_seen = Counter()
    num_earlier = []  # for each row, how many rows before it have the same labels
    for row in shuffled:
        labels = tuple(row["labels"])
        num_earlier.append(times_seen[labels])
        times_seen[labels] += 1
    return [shuffled[i] for i in np.argsort(num_earlier, kind="stable")[:num_utterances]]


def mel_band(hz):
    """Return the position of a frequency (Hz) on an axis of `NUM_MELS` Mel bands, from the lower edge of the lowest band.

    **Source:** the Mel scale of Kaldi.
    """
    low, high = (_mel(edge) for edge in MEL_RANGE_HZ)
    return (_mel(hz) - low) / (high - low) * NUM_MELS


def _mel(hz):
    return 1127 * np.log(1 + np.asarray(hz) / 700)


def envelope(waveform, sample_rate):
    """Return the start time (s), lowest and highest sample of each of at most `ENVELOPE_POINTS` segments of a waveform."""
    size = max(1, -(-len(waveform) // ENVELOPE_POINTS))
    segments = [waveform[i : i + size] for i in range(0, len(waveform), size)]
    times = np.arange(len(segments)) * size / sample_rate
    return times, [segment.min() for segment in segments], [segment.max() for segment in segments]


def draw_waveform(axes, waveform, sample_rate):
    """Draw the envelope of a waveform `[N]`, scaled to the height of the panel `axes`."""
    axes.fill_between(*envelope(waveform, sample_rate), color=SPLIT_COLOURS["train"], linewidth=0.5)
    top = 1.05 * np.abs(waveform).max()
    axes.set(ylabel="amplitude", ylim=(-top, top))


def draw_spectrogram(axes, waveform):
    """Draw the log-Mel energies (dB) of the log-Mel and MelHuBERT encoders. Each frame is drawn at the middle of its window."""
    decibels = log_mel(waveform).numpy().T * 10 / np.log(10)
    start = (MEL_WINDOW_SECONDS - MEL_HOP_SECONDS) / 2
    axes.imshow(
        decibels,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap="magma",
        extent=(start, start + decibels.shape[1] * MEL_HOP_SECONDS, 0, NUM_MELS),
        vmin=decibels.max() - DYNAMIC_RANGE_DB,
    )
    axes.set(ylabel="frequency (Hz)", yticks=mel_band(TICKS_HZ), yticklabels=TICKS_HZ, ylim=(0, NUM_MELS))


def draw_units(axes, units, durations, hop_seconds, max_seconds):
    """Draw a box with the number of the unit for each run of units. Equal units have equal colours.

    Args:
        axes: the panel.
        units: reduced units `[N]`.
        durations: number of frames of each unit `[N]`.
        hop_seconds: seconds from one frame to the next.
        max_seconds: end of the panel in seconds.
    """
    from matplotlib import colormaps

    ends = np.cumsum(durations) * hop_seconds
    shades = [0.25 + 0.75 * (unit * GOLDEN_RATIO % 1) for unit in units]
    lefts = ends - np.asarray(durations) * hop_seconds
    axes.barh(0, ends - lefts, 1, lefts, color=colormaps["viridis"](shades), edgecolor="white", linewidth=0.5)
    for unit, shade, left, right in zip(units, shades, lefts, ends):
        if left < max_seconds:
            middle = (left + min(right, max_seconds)) / 2
            colour = "black" if shade > 0.5 else "white"
            axes.text(middle, 0, str(unit), rotation=90, ha="center", va="center", fontsize=6, color=colour)
    axes.set(ylabel="unit", yticks=[], ylim=(-0.5, 0.5))


def draw(examples, sample_rate, hop_length, max_seconds):
    """Return a figure with three panels per example: waveform, spectrogram and units.

    Args:
        examples: list of tuples (title, waveform `[N]`, reduced units, durations in frames).
        sample_rate: sample rate of the waveforms in Hz.
        hop_length: samples from one frame to the next.
        max_seconds: examples are cut off after this time.
    """
    longest = min(max_seconds, max(len(waveform) / sample_rate for _, waveform, _, _ in examples))
    figure = new_figure(10, 3.1 * len(examples))
    panels = figure.subplots(3 * len(examples), height_ratios=[1, 2, 0.7] * len(examples))
    for number, (title, waveform, units, durations) in enumerate(examples):
        wave, mel, strip = panels[3 * number : 3 * number + 3]
        draw_waveform(wave, waveform[: int(max_seconds * sample_rate)], sample_rate)
        draw_spectrogram(mel, waveform)
        draw_units(strip, units, durations, hop_length / sample_rate, longest)
        wave.set_title(title)
        strip.set_xlabel("time (s)")
        for axes in (wave, mel, strip):
            axes.set_xlim(0, longest)
            axes.tick_params(labelbottom=axes is strip)
    return figure


def plot_utterances(*, manifest, reduced_units, model, config, figure, root, num_utterances, max_seconds, seed):
    """Stage: draw some utterances of a corpus with their units.

    Args:
        manifest: table of `MANIFEST` of the corpus.
        reduced_units: table of `REDUCED_UNITS` of the corpus.
        model, config: model.safetensors and config.json of the codebook's encoder.
        figure: figure to write.
        root: root folder of the corpus.
        num_utterances: number of utterances.
        max_seconds: utterances are cut off after this time.
        seed: seed of the choice of utterances.
    """
    encoder = encoders.load(Path(config).parent)
    rows = choose(tables.read(manifest, MANIFEST).to_pylist(), num_utterances, seed)
    unit_rows = {row["utterance_id"]: row for row in tables.read(reduced_units, REDUCED_UNITS).to_pylist()}
    examples = []
    for row in rows:
        waveform = read_utterance(Path(root) / row["path"], row, sample_rate=encoder.sample_rate)
        title = f"{row['utterance_id']}: {' '.join(row['labels'])}"
        unit_row = unit_rows[row["utterance_id"]]
        examples.append((title, waveform, unit_row["units"], unit_row["durations"]))
    save(draw(examples, encoder.sample_rate, encoder.hop_length, max_seconds), figure)
