"""The page in a real Chromium, by mouse, by keyboard, by microphone and by upload."""

import csv
import json
import math
import re
import subprocess
import sys
import wave
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile

from inference.page_drawing import percent
from tests.page.conftest import BUNDLE, RATE, REFUSED, ROOT, SAMPLES, answers, upload, wait_until

CARD = r'class="label">(.*?)</span> <span class="probability">(.*?)</span>'  # of an answer in the page's HTML

pytest.importorskip("gradio", reason="the library of the page is not installed: `make page-test` installs it")
pytest.importorskip("playwright", reason="Playwright is not installed: `make page-test` installs it")


def terminal(path):
    """(label, probability) that the terminal prints."""
    command = [sys.executable, "-m", "inference", "label", BUNDLE, path, "--jsonl", "--device", "cpu"]
    line = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, check=True).stdout
    answer = json.loads(line)
    return " ".join(answer["labels"]), percent(answer["probability"])


def rows_of(server):
    path = server.kept / "metadata.csv"
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_an_upload_has_the_label_that_the_terminal_prints(open_page, words):
    page = open_page()
    for label in ("yes", "left"):
        upload(page, words[label])
        wait_until(lambda label=label: answers(page)[0][0] == label, f"the page shows {label}")
        assert answers(page) == [terminal(words[label])] * 2
    assert page.locator(".panel.units").count() == 2
    assert page.locator(".panel.units span").count() > 4
    assert page.locator(".panel.spectrogram img").is_visible()


def test_what_the_microphone_hears_has_the_label_that_the_terminal_prints(open_page, server):
    page = open_page()
    page.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_timeout(3000)
    page.get_by_role("button", name="Stop", exact=True).first.click()
    shown = answers(page)
    number = len(rows_of(server))
    page.get_by_label("Speaker").fill("mic")
    page.get_by_role("button", name="Keep").click()
    wait_until(lambda: len(rows_of(server)) > number, "the recording is kept")
    row = rows_of(server)[-1]
    assert (row["speaker"], row["split"], row["label"]) == ("mic", "train", shown[0][0])
    kept = server.kept / row["path"]
    assert 2 < soundfile.info(kept).duration < 5
    assert np.abs(soundfile.read(kept)[0]).max() > 0.05  # it heard something
    assert shown[0] == terminal(kept)


def test_the_keyboard_alone_is_enough(open_page, server):
    page = open_page()
    _tab_to(page, "Record")
    page.keyboard.press("Enter")
    page.wait_for_timeout(2500)
    _tab_to(page, "Stop")
    page.keyboard.press("Enter")
    answers(page)
    _tab_to(page, "Label")
    page.keyboard.press("Control+a")
    page.keyboard.type("maybe")
    page.keyboard.press("Enter")
    _tab_to(page, "Speaker")
    page.keyboard.type("keys")
    _tab_to(page, "dev")
    page.keyboard.press("Space")
    _tab_to(page, "Keep")
    page.keyboard.press("Enter")
    wait_until(lambda: any(row["speaker"] == "keys" for row in rows_of(server)), "the recording is kept")
    [row] = [row for row in rows_of(server) if row["speaker"] == "keys"]
    assert (row["label"], row["split"]) == ("maybe", "dev")


def test_a_file_can_be_chosen_by_keyboard(open_page, words):
    page = open_page()
    _tab_to(page, "Upload file")
    page.keyboard.press("Enter")
    with page.expect_file_chooser() as chooser:
        _tab_to(page, "Drop")
        page.keyboard.press("Enter")
    chooser.value.set_files(words["yes"])
    assert answers(page)[0][0] == "yes"


def _tab_to(page, name, limit=60):
    """Press the tabulator until something with this name has the focus, which must be visible."""
    for _ in range(limit):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "(() => {const e = document.activeElement; return [e.innerText, e.getAttribute('aria-label'), e.value, "
            "e.closest('label') && e.closest('label').innerText, getComputedStyle(e).outlineStyle].map(String)})()"
        )
        if any(text.strip().startswith(name) for text in focused[:4]):
            return
    pytest.fail(f"no {name} among {limit} steps of the tabulator")


def test_unusable_uploads_give_a_sentence_and_the_page_lives_on(open_page, words, tmp_path):
    page = open_page()
    for path, sentence in _bad_files(tmp_path):
        upload(page, path)
        page.get_by_text(re.compile(sentence)).first.wait_for()
        assert page.locator(".answer .label").count() == 0
        page.reload()
    upload(page, words["yes"])
    assert answers(page)[0][0] == "yes"


def _bad_files(folder):
    """Yield files that nobody should upload, and a part of the sentence that the page says then."""
    (folder / "text.wav").write_text("hello " * 100)
    yield folder / "text.wav", "no audio file of a known format"
    (folder / "page.html").write_text("<script>alert(1)</script>")
    yield folder / "page.html", "Invalid file type"
    soundfile.write(folder / "one.wav", np.array([0.1]), RATE)
    yield folder / "one.wav", "too short"
    soundfile.write(folder / "nan.wav", np.full(RATE, np.nan), RATE, subtype="FLOAT")
    yield folder / "nan.wav", "no numbers"
    soundfile.write(folder / "hour.flac", np.zeros(3600 * 8000, np.int16), 8000)
    yield folder / "hour.flac", "too long"
    with wave.open(str(folder / "large.wav"), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", None))
        file.writeframes(bytes(100_000_000))
    yield folder / "large.wav", "100 MB, at most 64"


def test_ten_clients_at_once_get_their_own_answers(open_page, words):
    labels = (list(words) * 10)[:10]
    pages = [open_page(width=400) for _ in labels]
    for page, label in zip(pages, labels):
        page.get_by_role("button", name="Upload file").click()
        page.locator("input[type=file]").set_input_files(words[label])
    assert [answers(page)[0][0] for page in pages] == labels


def test_ten_clients_without_a_browser_get_their_own_answers(server, words):
    from gradio_client import Client, handle_file

    labels = (list(words) * 10)[:10]

    def ask(label):
        client = Client(server.url, verbose=False, analytics_enabled=False)
        return [client.predict(handle_file(words[label]), ["SCR"], api_name="/recognize")[-1] for _ in range(3)]

    with ThreadPoolExecutor(10) as pool:
        for label, shown in zip(labels, pool.map(ask, labels)):
            assert [_value(update) for update in shown] == [label] * 3


def _value(update):
    return update["value"] if isinstance(update, dict) else update


def test_every_test_row_has_the_label_and_the_probability_of_the_samples(server, test_files):
    from gradio_client import Client, handle_file

    from storage import tables
    from ulm.schemas import SAMPLES as SCHEMA

    if not SAMPLES.is_file():
        pytest.skip(f"this test needs {SAMPLES}: `make page-test` makes it")
    seed = json.loads((BUNDLE / "bundle.json").read_text())["best_seed"]
    rows = [row for row in tables.read(SAMPLES, SCHEMA).to_pylist() if (row["split"], row["seed"]) == ("test", seed)]
    client = Client(server.url, verbose=False, analytics_enabled=False)

    def ask(row):
        _, recording = test_files[row["utterance_id"]]
        return re.findall(CARD, str(client.predict(handle_file(recording), ["SCR"], api_name="/recognize")))

    with ThreadPoolExecutor(4) as pool:
        shown = list(pool.map(ask, rows))
    assert shown == [[(" ".join(row["predicted_labels"]), percent(math.exp(row["score"])))] for row in rows]
    assert len(rows) == len(test_files)


def test_a_bundle_can_be_left_out(open_page, words):
    page = open_page()
    upload(page, words["yes"])
    assert len(answers(page)) == 2
    page.get_by_label("SCR", exact=True).uncheck()
    wait_until(lambda: len(answers(page)) == 1, "one answer is left")
    assert page.locator(".panel.units").count() == 1


def test_the_speaker_is_asked_for_once(open_page, words):
    page = open_page()
    upload(page, words["no"])
    answers(page)
    page.get_by_label("Speaker").fill("zoe")
    page.get_by_role("button", name="Keep").click()
    page.get_by_text("Kept: ").wait_for()
    page.reload()
    wait_until(lambda: page.get_by_label("Speaker").input_value() == "zoe", "the speaker is remembered")


def test_training_examples_of_a_label_can_be_heard(open_page):
    page = open_page()
    page.get_by_text("Listen to training examples").click()
    page.locator("#examples").get_by_label("Label").click()
    page.get_by_role("option", name="left").click()
    players = page.locator("#examples audio, #examples [data-testid^=waveform]")
    wait_until(lambda: players.count() >= 3, "three examples are there")


@pytest.mark.parametrize("width", [390, 768, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_its_window(open_page, words, width, scheme):
    page = open_page(width=width, color_scheme=scheme)
    upload(page, words["yes"])
    answers(page)
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_script_from_elsewhere_is_refused_by_the_browser(open_page):
    page = open_page()
    refused = page.evaluate(
        "new Promise(done => {document.addEventListener('securitypolicyviolation', event => done(event.blockedURI));"
        f"const image = new Image(); image.src = '{REFUSED}pixel.png'}})"
    )
    assert refused.startswith(REFUSED.rstrip("/"))


def test_other_names_and_other_files_are_refused(server):
    import httpx

    assert httpx.get(server.url).status_code == 200
    assert httpx.get(server.url, headers={"Host": "attacker.example"}).status_code == 400
    for path in ("/etc/passwd", server.kept / "metadata.csv", BUNDLE / "bundle.json"):
        assert httpx.get(f"{server.url}gradio_api/file={path}").status_code in (403, 404)


def test_zz_the_server_asks_for_no_address_outside_and_reports_no_error(server):
    lines = server.connections.read_text().splitlines()
    assert lines
    assert [line for line in lines if not re.search(r"127\.0\.0\.1|localhost|::1", line)] == []
    assert "Traceback" not in server.errors.read_text()
