import re
from math import log

import numpy as np
import pytest

from inference.page_drawing import MAX_PIXELS, UnitStrip, draw_answers, draw_recording, spectrogram_pixels
from inference.recognition import Answer, Recognition

RATE = 16_000


def tone(seconds, hz=1000.0):
    return np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE).astype(np.float32)


def strip(units, durations, name="SCR"):
    lengths = np.array(durations) * 0.02
    return UnitStrip(name, np.array(units), np.cumsum(lengths) - lengths, lengths)


def styles(html, panel):
    """(left, width) in per cent of what is in a panel."""
    content = html.split(f'<div class="panel {panel}">')[1].split("</div>")[0]
    return [tuple(map(float, pair)) for pair in re.findall(r"left: ([\d.]+)%; width: ([\d.]+)%", content)]


def test_units_are_at_their_times():
    html = draw_recording(tone(1.0), RATE, [strip([3, 17, 3], [10, 15, 25])])
    assert styles(html, "units") == [(0, 20), (20, 30), (50, 50)]
    assert 'title="unit 17, 0.20 to 0.50 s"' in html
    assert "<b>17</b>" in html


def test_equal_units_have_equal_colours():
    colours = re.findall("background: (#[0-9a-f]{6})", draw_recording(tone(1.0), RATE, [strip([3, 17, 3], [10, 15, 25])]))
    assert colours[0] == colours[2] != colours[1]


def test_a_unit_beyond_the_end_of_the_recording_is_cut_off():
    html = draw_recording(tone(1.0), RATE, [strip([3, 17], [45, 10])])
    assert styles(html, "units") == [(0, 90), (90, 10)]


def test_spectrogram_and_units_share_the_time_axis():
    [(left, width)] = styles(draw_recording(tone(1.0), RATE, []), "spectrogram")
    assert left == pytest.approx(0.75)  # the first window of 25 ms has its middle at 12.5 ms, and its 10 ms around that
    assert width == pytest.approx(98)  # 98 frames


def test_every_bundle_has_its_strip_with_its_name():
    html = draw_recording(tone(0.5), RATE, [strip([1], [25], "one"), strip([2], [25], "<two>")])
    assert html.count('<div class="panel units">') == 2
    assert "<span>one</span>" in html
    assert "&lt;two&gt;" in html


def test_the_loudest_frequency_is_where_it_should_be():
    pixels = spectrogram_pixels(tone(0.5, hz=1000.0))
    assert pixels.shape == (40, 48, 3)
    brightest = 39 - pixels.sum(axis=(1, 2)).argmax()  # of 40 Mel bands from 20 to 8000 Hz, 1000 Hz is in number 13 or 14
    assert brightest in (13, 14)


def test_a_minute_is_as_wide_as_a_drawing_may_be():
    html = draw_recording(tone(60), RATE, [strip(range(100), [30] * 100)])
    assert f"--pixels: {MAX_PIXELS}px" in html
    assert len(html) < 1_500_000


@pytest.mark.parametrize("num_samples", [1, 400])
def test_the_shortest_recordings_are_drawn(num_samples):
    assert "spectrogram" in draw_recording(np.full(num_samples, 0.1, np.float32), RATE, [])


def test_the_answer_has_its_probability_and_bars():
    n_best = (Answer(("yes",), log(0.9)), Answer(("no",), log(0.08)))
    html = draw_answers({"SCR": Recognition(("yes",), log(0.9), n_best)})
    assert '<span class="label">yes</span> <span class="probability">90.0 %</span>' in html
    assert re.findall(r'<tr><th>(\w+)</th><td><div class="bar" style="width: ([\d.]+)%">', html) == [
        ("yes", "90.0"),
        ("no", "8.0"),
    ]


def test_a_sequence_without_a_score_is_shown_without_bars():
    html = draw_answers({"DSR": Recognition(("3", "7"), None)})
    assert '<span class="label">3 7</span>' in html
    assert "%" not in html
    assert "<table" not in html


def test_an_empty_sequence_is_named():
    assert "an empty sequence" in draw_answers({"DSR": Recognition((), None)})


def test_free_decoding_is_shown_where_it_differs():
    assert "legal answers: no" in draw_answers({"SCR": Recognition(("yes",), -1.0, free_labels=("no",))})
    assert "legal answers" not in draw_answers({"SCR": Recognition(("yes",), -1.0, free_labels=("yes",))})


def test_labels_and_names_of_bundles_are_no_html():
    hostile = "<script>alert(1)</script>"
    recognition = Recognition((hostile,), -1.0, (Answer((hostile,), -1.0),), free_labels=(hostile, hostile))
    assert "<script" not in draw_answers({hostile: recognition})
