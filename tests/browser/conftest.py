"""One server for the browser tests, and a page whose console must stay silent."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

sync_api = pytest.importorskip("playwright.sync_api")

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
ARTIFACTS = Path(__file__).with_name("artifacts")


@pytest.fixture(scope="session")
def app_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running app."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log.txt"
    command = [sys.executable, "-m", "streamlit", "run", "app/main.py"]
    command += ["--server.port", str(port), "--server.headless", "true"]
    with log.open("w") as out:
        server = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
    address = f"http://localhost:{port}"
    try:
        for _ in range(300):
            try:
                with urllib.request.urlopen(f"{address}/_stcore/health", timeout=1):
                    break
            except OSError:
                time.sleep(0.1)
        else:
            pytest.fail(f"the app did not start:\n{log.read_text()}")
        yield address
    finally:
        server.terminate()
        server.wait(timeout=20)
    said = log.read_text()
    assert "Traceback" not in said, said


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no Chromium at {CHROMIUM}; install Debian's chromium or set CHROMIUM")
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def context(chromium) -> Iterator[object]:
    """One profile for all pages: the app's scripts are read and compiled once."""
    shared = chromium.new_context(permissions=["clipboard-read", "clipboard-write"])
    yield shared
    shared.close()


@pytest.fixture(scope="session")
def tabs() -> list:
    """Tabs that no test has open: a new one costs a browser as much as drawing the app in it."""
    return []


@pytest.fixture
def open_page(context, app_url, tabs):
    """A function that opens an address of the app and waits until everything is drawn."""
    pages = []
    errors: list[str] = []

    def said(message) -> None:
        # On the address of a page Streamlit first asks for its health below that page, then above.
        probed = "/_stcore/" in message.location["url"] and "404" in message.text
        if message.type == "error" and not probed:
            errors.append(message.text)

    def failed(error) -> None:
        errors.append(str(error))

    def opened(path: str = "/", width: int = 1280, height: int = 2400, dark: bool = False):
        page = tabs.pop() if tabs else context.new_page()
        pages.append(page)
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme="dark" if dark else "light")
        page.set_default_timeout(60_000)
        page.on("console", said)
        page.on("pageerror", failed)
        page.goto(app_url + path)
        drawn(page)
        return page

    yield opened
    for page in pages:
        if page.is_closed():
            continue
        # Ends what ran for it in the app, as closing it does.
        page.goto("about:blank")
        page.remove_listener("console", said)
        page.remove_listener("pageerror", failed)
        tabs.append(page)
    assert errors == []


# Streamlit reads the code of an element when the first of its kind comes, and shows a skeleton till
# then. The page's own timer waits behind messages that are there but not drawn yet.
QUIET = """
() => new Promise((resolve, reject) => {
  let timer
  const end = (then) => { clearTimeout(timer); clearTimeout(last); seen.disconnect(); then() }
  const last = setTimeout(() => end(() => reject("the page is never quiet")), 30000)
  const again = () => {
    clearTimeout(timer)
    timer = setTimeout(() => {
      if (document.querySelector("[data-testid=stSkeleton]")) again()
      else end(resolve)
    }, 250)
  }
  const seen = new MutationObserver(again)
  seen.observe(document.body, {childList: true, characterData: true, subtree: true})
  again()
})
"""


def settled(page) -> None:
    """Wait until the script has run and its messages are on screen."""
    page.wait_for_timeout(200)
    page.wait_for_selector(
        "[data-testid=stApp][data-test-connection-state=CONNECTED]"
        "[data-test-script-state=notRunning]"
    )
    page.evaluate(QUIET)


def drawn(page) -> None:
    """Wait until the viewer has drawn its panels, and the rest of the page has come after them."""
    first = (
        "[data-drawn], .st-key-gallery [data-key], .st-key-pipeline_json, .st-key-selected, "
        ".st-key-layer_table, .st-key-candidates_table, .st-key-net_file, "
        ".st-key-lesson_controls, .st-key-race_legend, .st-key-split_own"
    )
    last = (
        ".st-key-downloads, .st-key-method_controls, .st-key-pipeline_json, "
        ".st-key-train_and_eval, .st-key-selected, .st-key-layer_table, "
        ".st-key-candidates_table, .st-key-net_file, .st-key-lesson_controls, "
        ".st-key-race_legend, .st-key-split_own"
    )
    page.wait_for_selector(first, state="attached")
    page.wait_for_selector(last, state="attached")
    settled(page)
