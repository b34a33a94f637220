import argparse

import pytest

from inference import page


def parse(*arguments):
    parser = argparse.ArgumentParser()
    page.add_arguments(parser)
    return parser.parse_args(arguments)


def test_the_page_listens_on_loopback_unless_told_otherwise():
    assert page.is_loopback(parse("bundle").host)
    assert parse("bundle", "--host", "0.0.0.0").host == "0.0.0.0"


@pytest.mark.parametrize(
    "host, expected",
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("192.168.1.2", False), ("example.org", False)],
)
def test_loopback_addresses(host, expected):
    assert page.is_loopback(host) is expected


def test_nothing_is_kept_unless_told_otherwise():
    assert parse("bundle").keep is None


def test_without_gradio_the_error_names_the_remedy(monkeypatch):
    monkeypatch.setattr(page.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="make page"):
        page.serve(["bundle"])


def test_run_passes_every_argument_on(monkeypatch):
    monkeypatch.setattr(page, "serve", lambda bundles, **settings: settings | dict(bundles=bundles))
    settings = {}
    monkeypatch.setattr(page, "serve", lambda bundles, **others: settings.update(others, bundles=bundles))
    page.run(parse("a", "b", "--keep", "recordings", "--port", "0", "--corpus", "manifest.parquet", "--max-seconds", "5"))
    assert settings.pop("bundles") == ["a", "b"]
    assert settings == dict(
        host="127.0.0.1", port=0, corpus="manifest.parquet", root=None, keep="recordings", device=None, max_seconds=5.0,
        open_browser=False,
    )  # fmt: skip
