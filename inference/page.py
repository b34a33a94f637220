"""`python -m inference page`: a page in the browser that labels what it hears.

The page needs Gradio, which `make page` installs into an environment of its own (inference/requirements-page.txt). Only
`inference.page_layout` imports it. Gradio's statistics are off, and the browser is told to load nothing from any other host.
"""

import importlib.util
import ipaddress
import os
import signal
import sys
import tempfile
from pathlib import Path

from inference.page_uploads import MAX_SECONDS
from storage.errors import data_error

HOST = "127.0.0.1"
PORT = 7860
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
# Read by Gradio and huggingface_hub when they are imported.
ENVIRONMENT = dict(GRADIO_ANALYTICS_ENABLED="False", HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_OFFLINE="1", GRADIO_SHARE="False")


def add_arguments(parser):
    """Add the arguments of the page to an `argparse` parser."""
    parser.add_argument("bundles", nargs="+", metavar="BUNDLE", help="folder of a bundle, such as results/SCR/bundle")
    parser.add_argument(
        "--host", default=HOST, help="address to listen on; any but a loopback address lets others in (%(default)s)"
    )
    parser.add_argument("--port", type=int, default=PORT, help="port to listen on; 0: any free one (%(default)s)")
    parser.add_argument("--device", help="where to compute, such as cpu or cuda:1; a GPU if there is one")
    parser.add_argument("--keep", metavar="FOLDER", help="folder that gets the recordings that users keep; none: none are kept")
    parser.add_argument(
        "--corpus",
        metavar="MANIFEST",
        help="manifest.parquet of the corpus whose training examples can be heard; the default is that of the first bundle, "
        "where results/ has it",
    )
    parser.add_argument("--root", metavar="FOLDER", help="audio files of the corpus, if they are no longer where they were")
    parser.add_argument(
        "--max-seconds", type=float, default=MAX_SECONDS, help="longest recording in seconds that is taken (%(default)s)"
    )
    parser.add_argument("--open", action="store_true", help="also open the page in the browser")


def run(arguments):
    """Serve the page until it is interrupted. `arguments`: what a parser with `add_arguments` returns."""
    serve(
        arguments.bundles,
        host=arguments.host,
        port=arguments.port,
        corpus=arguments.corpus,
        root=arguments.root,
        keep=arguments.keep,
        device=arguments.device,
        max_seconds=arguments.max_seconds,
        open_browser=arguments.open,
    )


def serve(
    bundles, *, host=HOST, port=PORT, corpus=None, root=None, keep=None, device=None, max_seconds=MAX_SECONDS, open_browser=False
):
    """Serve the page until it is interrupted.

    Args:
        bundles: folders of bundles that take audio.
        host: address to listen on.
        port: port to listen on; 0: any free one.
        corpus: manifest of the corpus whose training examples can be heard; None: that of the first bundle, if it is in results/.
        root: folder of its audio files; None: the folder that the manifest was made from.
        keep: folder for recordings that users keep; None: none are kept.
        device: where to compute; None: a GPU if there is one.
        max_seconds: longest recording in s.
        open_browser: whether to open the page in the browser.

    Raises:
        ValueError: if Gradio is not installed, a bundle or the corpus cannot be used, or the port is taken.
    """
    if not importlib.util.find_spec("gradio"):
        raise data_error(
            "page",
            "the page needs the library Gradio",
            expected="the packages of inference/requirements-page.txt",
            got="an environment without Gradio",
            remedy="start the page with `make page`, which installs them into .venv/page, or pip install -r the file",
        )
    names = [host, *LOOPBACK_NAMES]
    if not is_loopback(host):
        names = None
        print(f"page: {host} is not a loopback address: everyone who can reach it can use the page.")
        print("page: browsers give no microphone to such an address without HTTPS; `ssh -L` is the better way (see docs).")
    from inference.page_labelling import Labelling

    labelling = Labelling.load(bundles, corpus=corpus, root=root, keep=keep, device=device, max_seconds=max_seconds)
    with tempfile.TemporaryDirectory(prefix="speech_units_page_") as folder:
        os.environ |= ENVIRONMENT | dict(GRADIO_TEMP_DIR=folder)
        from inference.page_layout import build, launch

        signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # Python would end without deleting the folder
        page, url = launch(build(labelling, Path(folder)), host, port, names=names, open_browser=open_browser)
        print(f"page: {url} (Ctrl+C ends it)", flush=True)
        page.block_thread()


def is_loopback(host):
    """Return whether only this machine can reach an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
