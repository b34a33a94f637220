"""HTML of the page: waveform, spectrogram and strips of units on one time axis, and the answers with their bars.

Every text that comes from a bundle or from a user is escaped. Positions are per cent of the length of the recording, so that a
drawing fits any width without another request to the server.
"""

import base64
import io
from dataclasses import dataclass
from html import escape

import numpy as np

from speech2unit.encoders.models.log_mel import MIN_SAMPLES, NUM_MELS, log_mel
from speech2unit.plot_utterances import (
    DYNAMIC_RANGE_DB,
    GOLDEN_RATIO,
    MEL_HOP_SECONDS,
    MEL_WINDOW_SECONDS,
    TICKS_HZ,
    envelope,
    mel_band,
)

PIXELS_PER_SECOND = 600  # at least, so that the number of a unit of one frame (20 ms) is readable; page.css halves it on phones
MAX_PIXELS = 6000  # of a drawing; a longer recording has fewer pixels per second
TICK_PIXELS = 70  # at least, from one tick of the time axis to the next
TICK_SECONDS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)  # possible distances of the ticks


@dataclass(frozen=True)
class UnitStrip:
    """The units of one bundle, to be drawn below the spectrogram."""

    name: str  # of the bundle
    units: np.ndarray  # reduced units `[N]`
    starts: np.ndarray  # `[N]`, in s
    seconds: np.ndarray  # length of each unit `[N]`, in s


def draw_recording(waveform, sample_rate, strips):
    """Return HTML that shows a recording: its waveform, its Mel spectrogram and strips of units, on one time axis.

    Args:
        waveform: float array `[N]` at 16 kHz.
        sample_rate: its rate in Hz.
        strips: list of `UnitStrip`.
    """
    seconds = len(waveform) / sample_rate
    pixels = min(MAX_PIXELS, PIXELS_PER_SECOND * seconds)
    rows = [
        _panel("waveform", "amplitude", _waveform_svg(waveform, sample_rate)),
        _panel("spectrogram", _frequency_ticks(), _spectrogram_image(waveform, seconds), is_html=True),
    ]
    rows += [_panel("units", strip.name, _unit_boxes(strip, seconds)) for strip in strips]
    rows.append(_panel("times", "time (s)", _time_ticks(seconds, pixels / seconds)))
    description = f"Waveform, spectrogram and units of {seconds:.2f} s on one time axis"
    return (
        f'<div class="drawing" role="region" tabindex="0" aria-label="{description}">'
        f'<div class="panels" style="--pixels: {pixels:.0f}px">{"".join(rows)}</div></div>'
    )


def draw_answers(recognitions):
    """Return HTML that shows the answer of each bundle with its probability, and the n best answers as bars.

    Args:
        recognitions: name of the bundle → `Recognition`.
    """
    cards = [_answer_card(name, recognition) for name, recognition in recognitions.items()]
    return f'<div class="answers">{"".join(cards)}</div>'


def percent(probability):
    """Return a probability as text: `97.3 %`."""
    return f"{100 * probability:.1f} %"


def _answer_card(name, recognition):
    """Return HTML of the answer of one bundle."""
    probability = (
        "" if recognition.probability is None else f' <span class="probability">{percent(recognition.probability)}</span>'
    )
    label = escape(recognition.label) or "<em>an empty sequence</em>"
    parts = [f"<h3>{escape(name)}</h3>", f'<p class="best"><span class="label">{label}</span>{probability}</p>']
    bars = [answer for answer in recognition.n_best if answer.probability is not None]
    if bars:
        parts.append(f'<table aria-label="Most probable answers">{"".join(map(_bar, bars))}</table>')
    if recognition.free_labels is not None and recognition.free_labels != recognition.labels:
        parts.append(
            f'<p class="note">Decoded without the list of legal answers: {escape(" ".join(recognition.free_labels))}</p>'
        )
    return f'<section class="answer">{"".join(parts)}</section>'


def _bar(answer):
    """Return HTML of a table row: label, bar, probability."""
    bar = f'<div class="bar" style="width: {100 * answer.probability:.1f}%"></div>'
    return f"<tr><th>{escape(answer.label)}</th><td>{bar}</td><td>{percent(answer.probability)}</td></tr>"


def _panel(name, caption, content, is_html=False):
    """Return HTML of one row of a drawing. `is_html`: the caption is HTML, not text."""
    caption = caption if is_html else f"<span>{escape(caption)}</span>"
    return f'<div class="caption {name}">{caption}</div><div class="panel {name}">{content}</div>'


def _waveform_svg(waveform, sample_rate):
    """Return an SVG of the envelope of a waveform, scaled to full height."""
    _, lows, highs = envelope(waveform, sample_rate)
    top = max(np.abs(waveform).max(), 1e-9)
    right = list(enumerate(np.asarray(highs) / top))
    left = list(enumerate(np.asarray(lows) / top))[::-1]
    points = " ".join(f"{position},{-value:.3f}" for position, value in right + left)
    return (
        f'<svg viewBox="0 -1.05 {max(len(lows) - 1, 1)} 2.1" preserveAspectRatio="none" aria-hidden="true">'
        f'<polygon points="{points}" vector-effect="non-scaling-stroke"/></svg>'
    )


def spectrogram_pixels(waveform):
    """Return the log-Mel energies of a waveform `[N]` at 16 kHz as colours: uint8 array `[40, T, 3]`, low frequencies at the bottom."""
    from matplotlib import colormaps

    decibels = log_mel(np.pad(waveform, (0, max(0, MIN_SAMPLES - len(waveform))))).numpy().T * 10 / np.log(10)
    shades = 1 + (decibels - decibels.max()) / DYNAMIC_RANGE_DB
    return colormaps["magma"](shades[::-1].clip(0, 1), bytes=True)[..., :3]


def _spectrogram_image(waveform, seconds):
    """Return an image of the spectrogram inside the page; a frame is at the middle of its window, as in `draw_spectrogram`."""
    from PIL import Image

    pixels = spectrogram_pixels(waveform)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    start = (MEL_WINDOW_SECONDS - MEL_HOP_SECONDS) / 2
    place = _place(start, pixels.shape[1] * MEL_HOP_SECONDS, seconds)
    return f'<img alt="Mel spectrogram" style="{place}" src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}">'


def _frequency_ticks():
    """Return HTML of the frequencies on the vertical axis, in kHz."""
    ticks = [f'<span style="bottom: {100 * mel_band(hz) / NUM_MELS:.1f}%">{hz / 1000:g}</span>' for hz in TICKS_HZ]
    return f"{''.join(ticks)}<span>kHz</span>"


def _unit_boxes(strip, seconds):
    """Return HTML of a box for each run of units, with the number of the unit; equal units have equal colours.

    page.css turns the number or hides it where the box is narrow.
    """
    from matplotlib import colormaps, colors

    boxes = []
    for unit, start, length in zip(strip.units, strip.starts, strip.seconds):
        shade = 0.25 + 0.75 * (int(unit) * GOLDEN_RATIO % 1)
        background = colors.to_hex(colormaps["viridis"](shade))
        boxes.append(
            f'<span title="unit {unit}, {start:.2f} to {start + length:.2f} s" style="{_place(start, length, seconds)}; '
            f'background: {background}; color: {"#000" if shade > 0.5 else "#fff"}"><b>{unit}</b></span>'
        )
    return "".join(boxes)


def _time_ticks(seconds, pixels_per_second):
    """Return HTML of the ticks of the time axis."""
    step = next((step for step in TICK_SECONDS if step * pixels_per_second >= TICK_PIXELS), TICK_SECONDS[-1])
    times = np.arange(0, seconds, step)
    return "".join(f'<span style="left: {100 * time / seconds:.2f}%">{time:g}</span>' for time in times.round(3))


def _place(start, length, seconds):
    """Return the CSS that puts something at its time; what goes beyond the end of the recording is cut off."""
    length = min(length, max(seconds - start, 0))
    return f"left: {100 * start / seconds:.3f}%; width: {100 * length / seconds:.3f}%"
