"""How fast the page follows, in a real Chromium: changes of a widget, and opening the page.

    python benchmarks/page.py [--rounds 12] [--port 8599]

Starts the app, drives it in the system's Chromium, and records medians and spread in
benchmarks/results/page.json. A change is one step of the exposure slider by a real key press, each
to a value that was not shown before; it takes from the key event to the moment when the viewer has
drawn every panel and all charts have been redrawn. Opening takes from the navigation's start, in a
browser that has opened the page before: in a new tab, and in the tab that had it open. Opened in
turns with it: an address with a choice in it, whose controls are drawn with the pictures and not
after them, and a page that has four photos and three charts and nothing else
(benchmarks/bare_page.py), with the ratio to it. Bytes are those received over the websocket and
HTTP.

No debugger is attached while a time is taken: with one, V8 keeps the place of every statement of
the charts' library, and opening takes half a second longer. A content script watches instead and
reports to a server of ours; Playwright only prepares the page, and counts bytes in rounds of their
own.
"""

from __future__ import annotations

import argparse
import contextlib
import http.server
import json
import os
import platform
import queue
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from photo import photo_of_12_megapixels
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from websockets.sync.client import connect

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,900"]
FLAGS += ["--no-first-run", "--disable-background-networking", "--disable-sync"]
SLIDER = "input[type=range][aria-label='Exposure (EV)']"

# Runs in the page itself, before its own scripts. Reports once all pictures and the three charts
# are there, and after each key once both have been drawn again and half a second was quiet.
WATCHER = """
const report = (times) =>
  fetch('http://localhost:%d/', { method: 'POST', mode: 'no-cors', body: JSON.stringify(times) });
let pressed = 0, pictures = 0, charts = 0, quiet = 0;
const changed = () => {
  clearTimeout(quiet);
  if (!pressed || pictures < pressed || charts < pressed) return;
  quiet = setTimeout(() => {
    report({ pictures: pictures - pressed, everything: Math.max(pictures, charts) - pressed });
    pressed = 0;
  }, 500);
};
new PerformanceObserver((list) => {
  for (const entry of list.getEntriesByName('normviz-drawn')) pictures = entry.startTime;
  changed();
}).observe({ type: 'mark', buffered: true });
addEventListener('keydown', (event) => { pressed = event.timeStamp; }, true);
const known = new WeakSet();
const hook = () => {
  for (const chart of document.querySelectorAll('.js-plotly-plot')) {
    if (known.has(chart)) continue;
    known.add(chart);
    // Streamlit makes its charts anew; one that is found has been drawn by the next frame.
    requestAnimationFrame(() => { charts = performance.now(); changed(); });
    chart.on('plotly_afterplot', () => { charts = performance.now(); changed(); });
  }
};
const look = () => {
  // The bare page has no viewer that says when it has drawn.
  const photos = [...document.querySelectorAll('[data-testid=stImage] img')];
  if (!pictures && photos.length && photos.every((photo) => photo.complete)) {
    pictures = performance.now();
  }
  const all = [...document.querySelectorAll('.js-plotly-plot')];
  const whole = all.filter((c) => c.querySelector('.xtick') && c.querySelector('.trace'));
  if (!pictures || whole.length < 3) {
    requestAnimationFrame(look);
    return;
  }
  report({ pictures, everything: performance.now() });
  hook();
  new MutationObserver(hook).observe(document.body, { childList: true, subtree: true });
};
look();
"""


@contextlib.contextmanager
def app(port: int, script: str = "app/main.py") -> Iterator[str]:
    """Run the app, or another one, and yield its address."""
    command = [sys.executable, "-m", "streamlit", "run", script]
    command += ["--server.port", str(port), "--server.headless", "true"]
    server = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(f"http://localhost:{port}/_stcore/health")
        yield f"http://localhost:{port}"
    finally:
        server.terminate()
        server.wait(timeout=20)


@contextlib.contextmanager
def collector() -> Iterator[tuple[int, queue.Queue[dict]]]:
    """Run the server that the watcher reports to; yield its port and what was reported."""
    reports: queue.Queue[dict] = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("localhost", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], reports
        server.shutdown()


class Chromium:
    """A browser with the watcher in it, controlled over its debugging port only when asked."""

    def __init__(self, folder: Path, report_to: int) -> None:
        watcher = folder / "watcher"
        watcher.mkdir()
        (watcher / "watch.js").write_text(WATCHER % report_to)
        script = {"matches": ["http://localhost/*"], "js": ["watch.js"], "world": "MAIN"}
        script["run_at"] = "document_start"
        facts = {"manifest_version": 3, "name": "watcher", "version": "1"}
        (watcher / "manifest.json").write_text(json.dumps({**facts, "content_scripts": [script]}))
        with socket.socket() as probe:
            probe.bind(("localhost", 0))
            port = probe.getsockname()[1]
        self.control = f"http://localhost:{port}"
        command = [
            CHROMIUM,
            *FLAGS,
            f"--load-extension={watcher}",
            f"--user-data-dir={folder}/user",
        ]
        self.process = subprocess.Popen(
            [*command, f"--remote-debugging-port={port}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(f"{self.control}/json/version")

    def open(self, url: str) -> dict:
        """Open a tab and return what the browser says of it."""
        ask = urllib.request.Request(f"{self.control}/json/new?{url}", method="PUT")
        with urllib.request.urlopen(ask, timeout=30) as answer:
            return json.load(answer)

    def close(self, tab: dict) -> None:
        urllib.request.urlopen(f"{self.control}/json/close/{tab['id']}").close()

    def go(self, tab: dict, url: str) -> None:
        """Have a tab open another address."""
        with connect(tab["webSocketDebuggerUrl"]) as session:
            session.send(json.dumps({"id": 0, "method": "Page.navigate", "params": {"url": url}}))
            session.recv(timeout=20)

    def press(self, tab: dict, key: str, code: int) -> None:
        """Press a key as a keyboard does; no domain that slows scripts down is switched on."""
        with connect(tab["webSocketDebuggerUrl"]) as session:
            for number, kind in enumerate(("rawKeyDown", "keyUp")):
                facts = {"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code}
                ask = {"id": number, "method": "Input.dispatchKeyEvent", "params": facts}
                session.send(json.dumps(ask))
                session.recv(timeout=20)

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)


@contextlib.contextmanager
def prepared(browser: Chromium, url: str) -> Iterator[Page]:
    """The browser's open page of the app, under Playwright's hands until this ends."""
    with sync_playwright() as play:
        remote = play.chromium.connect_over_cdp(browser.control)
        pages = [page for context in remote.contexts for page in context.pages]
        yield next(page for page in pages if page.url.startswith(url))
        remote.close()


def opening(
    browser: Chromium, reports: queue.Queue[dict], url: str, bare: str, rounds: int
) -> dict:
    """Open the app, also with a choice, and the bare page in turns: a new tab, and again in it."""
    found: dict[str, list[dict]] = {}
    # The first two fill the caches of files and of compiled scripts.
    for _ in range(rounds + 2):
        for name, address in (("app", url), ("app with a choice", f"{url}/?ev=-1"), ("bare", bare)):
            tab = browser.open(address)
            times = [reports.get(timeout=60)]
            time.sleep(1)
            browser.go(tab, "about:blank")
            time.sleep(1)
            browser.go(tab, address)
            times.append(reports.get(timeout=60))
            time.sleep(1)
            browser.close(tab)
            for where, one in zip(("in a new tab", "in the same tab"), times, strict=True):
                found.setdefault(f"{name} {where}", []).append(one)
    found = {name: times[2:] for name, times in found.items()}
    record: dict = {name: summarized(times) for name, times in found.items()}
    for where in ("in a new tab", "in the same tab"):
        pairs = list(zip(found[f"app {where}"], found[f"bare {where}"], strict=True))
        record[f"app / bare {where}"] = {
            what: summary([own[what] / other[what] for own, other in pairs], 2)
            for what in ("pictures", "everything")
        }
    return record


def changes(
    browser: Chromium, reports: queue.Queue[dict], url: str, rounds: int, upload: Path | None = None
) -> dict:
    tab = browser.open(f"{url}/?source=My+files" if upload else url)
    reports.get(timeout=60)
    with prepared(browser, url) as page:
        if upload:
            page.locator("input[type=file]").first.set_input_files(str(upload))
            page.get_by_text("4000 × 3000 px").first.wait_for()
            # Every pixel is measured behind the page first.
            page.wait_for_timeout(8000)
        page.locator(SLIDER).focus()
    time.sleep(1)
    found = []
    for _ in range(rounds + 2):
        browser.press(tab, "ArrowLeft", 37)
        found.append(reports.get(timeout=60))
        time.sleep(1)
    with prepared(browser, url) as page:
        received = bytes_of_changes(page, reports)
    browser.close(tab)
    return {**summarized(found[2:]), "bytes": summary(received)}


def bytes_of_changes(page: Page, reports: queue.Queue[dict]) -> list[int]:
    received: list[int] = []

    def frame(event: dict) -> None:
        payload, text = event["response"]["payloadData"], event["response"]["opcode"] != 2
        received.append(len(payload) if text else len(payload) * 3 // 4)

    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.webSocketFrameReceived", frame)
    session.on(
        "Network.dataReceived", lambda event: received.append(event.get("encodedDataLength", 0))
    )
    counted = []
    for _ in range(3):
        received.clear()
        page.locator(SLIDER).press("ArrowLeft")
        page.wait_for_timeout(2000)
        reports.get(timeout=60)
        counted.append(sum(received))
    return counted


def summarized(found: list[dict]) -> dict:
    return {f"{what}_ms": summary([times[what] for times in found]) for what in found[0]}


def summary(values: list[float], digits: int = 1) -> dict:
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
        "n": len(values),
    }


def wait_for(address: str) -> None:
    for _ in range(200):
        try:
            with urllib.request.urlopen(address, timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{address} does not answer")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--port", type=int, default=8599)
    asked = parser.parse_args()
    record: dict = {"command": "python benchmarks/page.py"}
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        app(asked.port) as url,
        app(asked.port + 1, "benchmarks/bare_page.py") as bare,
        collector() as (port, reports),
    ):
        browser = Chromium(Path(folder), port)
        try:
            record["open_warm"] = opening(browser, reports, url, bare, 9)
            record["four_bundled_photos"] = changes(browser, reports, url, asked.rounds)
            photo = Path(folder) / "photo_12mp.jpg"
            Image.fromarray(photo_of_12_megapixels()).save(photo, quality=90)
            record["one_photo_of_12_megapixels"] = changes(
                browser, reports, url, asked.rounds, photo
            )
        finally:
            browser.end()
    record["machine"] = {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "date": time.strftime("%Y-%m-%d"),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "page.json").write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
