"""A page with the demo's bundle, and a real Chromium whose microphone plays a file: `make page-test`."""

import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).parents[2]
BUNDLE = Path(os.environ.get("PAGE_TEST_BUNDLE", ROOT / "results/SCR/bundle")).absolute()
SAMPLES = BUNDLE.parent / "samples.parquet"
MANIFEST = Path(os.environ.get("PAGE_TEST_MANIFEST", ROOT / "results/corpora/commands/manifest.parquet")).absolute()
CHROMIUM = shutil.which("chromium")
QUIET_CHROMIUM = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
REFUSED = "http://192.0.2.1/"  # an address that nobody has, which a test asks for
START_SECONDS = 120
WAIT_MS = 30_000
RATE = 16_000


@dataclass(frozen=True)
class Server:
    """A page that is served."""

    url: str
    kept: Path  # folder of the kept recordings
    connections: Path  # log of `watched_page.py`
    errors: Path  # standard error


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The page with the same bundle twice, as two bundles that can be chosen."""
    if not (BUNDLE / "bundle.json").is_file() or not CHROMIUM:
        pytest.skip(f"these tests need {BUNDLE} and Chromium: `make page-test` makes and installs them")
    folder = tmp_path_factory.mktemp("page")
    server = Server("", folder / "recordings", folder / "connections", folder / "errors")
    command = [sys.executable, Path(__file__).with_name("watched_page.py"), server.connections, "page", BUNDLE, BUNDLE]
    command += ["--port", "0", "--keep", server.kept, "--device", "cpu"]
    command += ["--corpus", MANIFEST] if MANIFEST.is_file() else []
    temporary = folder / "temporary"
    temporary.mkdir()
    environment = os.environ | dict(PYTHONPATH=str(ROOT), TMPDIR=str(temporary))
    with open(server.errors, "w") as errors:
        process = subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.PIPE, stderr=errors, text=True, cwd=folder, env=environment
        )
    try:
        line = process.stdout.readline()
        url = re.search(r"http://\S+", line)
        assert url, f"the page did not start: {line}{server.errors.read_text()}"
        yield Server(url[0], server.kept, server.connections, server.errors)
    finally:
        process.terminate()
        process.wait(START_SECONDS)
    assert not list(temporary.iterdir())  # uploads are deleted


@pytest.fixture(scope="session")
def microphone_file(tmp_path_factory, words):
    """What the microphone hears, again and again: “yes” and a pause."""
    waveform, rate = soundfile.read(words["yes"])
    path = tmp_path_factory.mktemp("microphone") / "yes.wav"
    soundfile.write(path, np.concatenate([waveform, np.zeros(2 * rate)]), rate)
    return path


@pytest.fixture(scope="session")
def test_files():
    """utterance_id → (label, recording) of every test row of the corpus."""
    from inference.page_examples import root_of
    from speech2unit.corpora.schemas import MANIFEST as SCHEMA
    from storage import tables

    if not MANIFEST.is_file():
        pytest.skip(f"these tests need {MANIFEST}: `make page-test` makes it")
    rows = [row for row in tables.read(MANIFEST, SCHEMA).to_pylist() if row["split"] == "test"]
    return {row["utterance_id"]: (row["labels"][0], root_of(MANIFEST) / row["path"]) for row in rows}


@pytest.fixture(scope="session")
def words(test_files):
    """Label → a test recording of it that the bundle labels correctly."""
    from inference import Recognizer

    paths = dict(reversed(test_files.values()))
    results = Recognizer.load(BUNDLE, "cpu")(list(paths.values()))
    return {label: path for (label, path), result in zip(paths.items(), results) if result.label == label}


@pytest.fixture(scope="session")
def chromium(microphone_file):
    """Chromium, whose microphone plays a file."""
    from playwright.sync_api import sync_playwright

    microphone = (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={microphone_file}",
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET_CHROMIUM, *microphone])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, server):
    """A function that opens the page in a window of its own, and that fails the test if a window asks for another address."""
    contexts = []
    outside = []

    def note(request):
        if not request.url.startswith((server.url, REFUSED, "data:", "blob:")):
            outside.append(request.url)

    def opened(width=1280, height=900, **settings):
        context = chromium.new_context(viewport=dict(width=width, height=height), permissions=["microphone"], **settings)
        context.on("request", note)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.goto(server.url)
        page.get_by_role("button", name="Record", exact=True).wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not outside


def upload(page, path):
    """Upload a file as a user does: choose “File”, then choose the file."""
    if page.get_by_role("button", name="Clear").is_visible():
        page.get_by_role("button", name="Clear").click()
    page.get_by_role("button", name="Upload file").click()
    page.locator("input[type=file]").set_input_files(path)


def answers(page):
    """(label, probability) of each bundle that is shown."""
    page.locator(".answer .label").first.wait_for()
    texts = "cards => cards.map(card => ['.label', '.probability'].map(name => card.querySelector(name).innerText))"
    return [tuple(card) for card in page.locator(".answer:has(.label)").evaluate_all(texts)]


def wait_until(condition, what, seconds=30):
    """Wait until a function returns something true, and return that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.1)
    pytest.fail(f"waited {seconds} s until {what}")
