"""The page itself, made with Gradio. What it does is in `inference.page_labelling`."""

import warnings
from html import escape
from pathlib import Path

import gradio
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from inference.page_labelling import NUM_EXAMPLES, describe
from inference.page_recordings import MAX_TEXT_LENGTH
from storage.errors import data_error
from storage.schemas import SPLITS

CSS = Path(__file__).with_name("page.css")
# The browser refuses to load anything from another host. Gradio's own scripts are inside its pages and use eval.
CONTENT_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; "
    "connect-src 'self' data: blob:; frame-ancestors 'none'; form-action 'self'; base-uri 'self'"
)
HEADERS = {"Content-Security-Policy": CONTENT_POLICY, "Referrer-Policy": "no-referrer", "X-DNS-Prefetch-Control": "off"}
PLACEHOLDER = '<div class="answers"><section class="answer empty"><p>The answer appears here.</p></section></div>'
# Served by the page itself; Gradio's files of the weight 600 lack most letters.
FONT = gradio.themes.LocalFont("Source Sans Pro", weights=(400, 700))
# Gradio's own limit of an upload is above that of `check_upload`, whose sentence says what to do.
MAX_UPLOAD = "512mb"
CACHE_SECONDS = 3600  # uploads are deleted after this time, and all when the page ends


class SafeHeaders:
    """ASGI middleware that adds `HEADERS` to every response."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        """Answer a request."""

        async def send_with_headers(message):
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, send_with_headers)


def build(labelling, folder):
    """Return the page.

    Args:
        labelling: `Labelling`.
        folder: folder for copies of training examples, which the browser may read.
    """
    title = " · ".join(labelling.recognizers)
    cache = (CACHE_SECONDS, CACHE_SECONDS)
    with gradio.Blocks(title=title, analytics_enabled=False, delete_cache=cache, fill_width=True) as page:
        _html(_header(labelling))
        with gradio.Row(elem_id="top"):
            with gradio.Column(scale=1, min_width=320):
                names = _bundle_choice(labelling)
                audio = gradio.Audio(
                    sources=["microphone", "upload"], type="filepath", label="Recording", editable=False, buttons=[]
                )
                status = _html(elem_id="status")
            with gradio.Column(scale=1, min_width=320):
                answers = _html(PLACEHOLDER, elem_id="answers")
        drawing = _html(elem_id="drawing")
        label = _keep_form(labelling, page, audio) if labelling.recordings else gradio.State()
        if labelling.examples:
            _examples(labelling, folder)

        def recognize(path, chosen):
            shown = labelling.recognize(path, chosen)
            return shown.message, shown.answers or PLACEHOLDER, shown.drawing, shown.label

        gradio.on(
            [audio.change, names.change],
            recognize,
            [audio, names],
            [status, answers, drawing, label],
            api_name="recognize",
            show_progress="minimal",
            show_progress_on=[answers],
        )
    return page


def launch(page, host, port, *, names, open_browser=False):
    """Start to serve a page in the background.

    Args:
        page: what `build` returns.
        host: address to listen on.
        port: port to listen on; 0: any free one.
        names: host names that the page answers to, so that no other web page can reach it; None: all.
        open_browser: whether to open the page in the browser.

    Returns:
        The page and its address.

    Raises:
        ValueError: if the port is taken, or the address is none of this machine.
    """
    middleware = [Middleware(SafeHeaders)]
    if names:
        middleware.append(Middleware(TrustedHostMiddleware, allowed_hosts=names))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _, url, _ = page.launch(
                server_name=host,
                server_port=port or _free_port(host),
                inbrowser=open_browser,
                share=False,
                quiet=True,
                prevent_thread_lock=True,
                ssr_mode=False,
                mcp_server=False,
                run_history=False,
                enable_monitoring=False,
                footer_links=[],
                max_file_size=MAX_UPLOAD,
                app_kwargs=dict(middleware=middleware),
                theme=_theme(),
                head=f"<style>{CSS.read_text()}</style>",  # `css=` would change the selectors and drop @container
            )
    except OSError as error:
        raise data_error(
            "page",
            "the address must be free",
            expected=f"to listen on {host}, port {port}",
            got=f"{error}",
            remedy="end the other program, or choose another port: --port 0 takes a free one",
        ) from error
    return page, url


def _theme():
    """Return colours and fonts of the page; all fonts come from the page itself."""
    hues = dict(primary_hue="blue", secondary_hue="blue", neutral_hue="slate")
    return gradio.themes.Default(**hues, font=[FONT, "sans-serif"], font_mono=["monospace"], radius_size="lg")


def _free_port(host):
    """Return a port that no program listens on."""
    import socket

    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as free:
        free.bind((host, 0))
        return free.getsockname()[1]


def _html(text="", **settings):
    """Return a component that shows HTML in the style of page.css."""
    return gradio.HTML(text, apply_default_css=False, **settings)


def _header(labelling):
    """Return HTML of the title and of what the bundles are."""
    names = list(labelling.recognizers)
    hearer = names[0] if len(names) == 1 else "each task"
    descriptions = " ".join(f"<li>{escape(describe(name, r))}</li>" for name, r in labelling.recognizers.items())
    return (
        f"<header><h1>Speak, and see what {escape(hearer)} hears</h1>"
        f"<p>Record or upload one utterance of at most {labelling.max_seconds:g} s. Nothing leaves this machine.</p>"
        f"<ul>{descriptions}</ul></header>"
    )


def _bundle_choice(labelling):
    """Return the component that chooses bundles; hidden if there is one."""
    names = list(labelling.recognizers)
    return gradio.CheckboxGroup(names, value=names, label="Bundles", visible=len(names) > 1, elem_id="bundles")


def _keep_form(labelling, page, audio):
    """Add the form that corrects a label and keeps the recording; return the component of the label."""
    with gradio.Column(elem_id="keep"):
        _html("<h2>Correct the label, keep the recording</h2>")
        with gradio.Row(elem_classes="fields"):
            label = gradio.Dropdown(labelling.labels, value=None, label="Label", allow_custom_value=True, min_width=160)
            speaker = gradio.Textbox(label="Speaker", placeholder="your name", max_length=MAX_TEXT_LENGTH, min_width=160)
            split = gradio.Radio(list(SPLITS), value=SPLITS[0], label="Split: one for each speaker", min_width=260)
            button = gradio.Button("Keep", variant="primary", min_width=120)
        result = _html(f"<p>Kept recordings go to the folder {escape(str(labelling.recordings.folder))}.</p>", elem_id="kept")
    button.click(labelling.keep, [audio, label, speaker, split], result, api_name="keep")
    button.click(None, speaker, js="name => { localStorage.setItem('speaker', name) }")
    page.load(None, None, speaker, js="() => localStorage.getItem('speaker') ?? ''")
    speaker.change(lambda name: labelling.split_of(name) or gradio.skip(), speaker, split, api_name=False)
    return label


def _examples(labelling, folder):
    """Add the training examples of a label, to be heard."""
    with gradio.Accordion("Listen to training examples", open=False, elem_id="examples"):
        with gradio.Row(elem_classes="fields"):
            label = gradio.Dropdown(labelling.labels, value=None, label="Label", min_width=160)
            button = gradio.Button("Other examples", min_width=120)
        result = _html()
        with gradio.Row():
            players = [gradio.Audio(visible=False, interactive=False, buttons=[], min_width=220) for _ in range(NUM_EXAMPLES)]

        def choose(label):
            chosen, text = labelling.choose_examples(label, folder)
            shown = [gradio.Audio(value=e.file, label=e.speaker or e.name, visible=True) for e in chosen]
            hidden = [gradio.Audio(value=None, visible=False)] * (NUM_EXAMPLES - len(chosen))
            return [text, *shown, *hidden]

        gradio.on([label.change, button.click], choose, label, [result, *players], api_name=False)
