"""How fast the page follows, in a real Chromium: changes of a widget, and opening the page.

    python benchmarks/page.py [--rounds 12] [--port 8599]

Starts the app, drives it with Playwright on the system's Chromium, and records medians and spread
in benchmarks/results/page.json. From a changed widget to the last panel: the time from
the key press that moves the exposure slider to the moment when the viewer has drawn every panel
and both rows of charts have been redrawn. Bytes are those received over the websocket and HTTP.
"""

from __future__ import annotations

import argparse
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
from pathlib import Path

from photo import photo_of_12_megapixels
from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
FLAGS += ["--no-first-run"]

# Watches every panel canvas and chart: notes when the last of them changed.
WATCH = """
() => {
  window.__changes = { viewer: 0, charts: 0 };
  const seen = new WeakSet();
  const hook = () => {
    for (const gd of document.querySelectorAll('.js-plotly-plot')) {
      if (seen.has(gd)) continue;
      seen.add(gd);
      gd.on('plotly_afterplot', () => { window.__changes.charts = performance.now(); });
    }
  };
  hook();
  new MutationObserver(hook).observe(document.body, { childList: true, subtree: true });
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries())
      if (entry.name === 'normviz-drawn') window.__changes.viewer = entry.startTime;
  }).observe({ type: 'mark', buffered: true });
}
"""


# Reports, once all pictures and the three charts are there, the times since the navigation began.
WATCH_OPENING = """
const look = () => {
  const [drawn] = performance.getEntriesByName('normviz-drawn');
  const charts = [...document.querySelectorAll('.js-plotly-plot')];
  const whole = charts.filter((c) => c.querySelector('.xtick') && c.querySelector('.trace'));
  if (drawn && whole.length === 3) {
    const times = { pictures: drawn.startTime, everything: performance.now() };
    const body = JSON.stringify(times);
    fetch('http://localhost:%d/', { method: 'POST', mode: 'no-cors', body });
  } else requestAnimationFrame(look);
};
look();
"""


def start_server(port: int) -> subprocess.Popen:
    command = [sys.executable, "-m", "streamlit", "run", "app/main.py"]
    command += ["--server.port", str(port), "--server.headless", "true"]
    server = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for(f"http://localhost:{port}/_stcore/health")
    return server


def settle(page: Page) -> None:
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.wait_for_timeout(600)


def changes(page: Page, rounds: int) -> dict:
    """Move the exposure slider ``rounds`` times; times are in ms.

    Bytes are counted in rounds of their own: the protocol that counts them hands every frame on,
    which slows the browser down.
    """
    page.evaluate(WATCH)
    for _ in range(2):
        _move(page, -1)
    moved = [_move(page, turn) for turn in range(rounds)]
    received: list[int] = []
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on(
        "Network.webSocketFrameReceived",
        lambda event: received.append(_frame_bytes(event["response"])),
    )
    session.on(
        "Network.dataReceived", lambda event: received.append(event.get("encodedDataLength", 0))
    )
    counted = []
    for turn in range(3):
        received.clear()
        _move(page, turn)
        counted.append(sum(received))
    session.detach()
    return {
        "pictures_ms": summary([pictures for pictures, _ in moved]),
        "everything_ms": summary([everything for _, everything in moved]),
        "bytes": summary(counted),
    }


def _move(page: Page, turn: int) -> tuple[float, float]:
    """Move the slider one step; return ms to the last picture and to the last picture or chart."""
    page.locator("input[type=range][aria-label='Exposure (EV)']").focus()
    settle(page)
    start = page.evaluate("() => performance.now()")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(
        "start => window.__changes.viewer > start && window.__changes.charts > start",
        arg=start,
        timeout=30_000,
    )
    settle(page)
    at = page.evaluate("() => window.__changes")
    return at["viewer"] - start, max(at["viewer"], at["charts"]) - start


def _frame_bytes(response: dict) -> int:
    payload = response["payloadData"]
    return len(payload) * 3 // 4 if response["opcode"] == 2 else len(payload)


def opening(url: str, rounds: int) -> dict:
    """Open the page in new tabs of a browser that knows it already; times are in ms.

    No debugger is attached while the page opens: with one, V8 keeps the place of every statement of
    the charts' library and takes half a second longer. A content script watches instead, and
    reports to a server of ours.
    """
    reports: queue.Queue[dict] = queue.Queue()

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with (
        http.server.ThreadingHTTPServer(("localhost", 0), Collector) as collector,
        tempfile.TemporaryDirectory() as folder,
    ):
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        watcher = Path(folder) / "watcher"
        watcher.mkdir()
        (watcher / "watch.js").write_text(WATCH_OPENING % collector.server_address[1])
        matches = ["http://localhost/*"]
        script = {"matches": matches, "js": ["watch.js"], "run_at": "document_start"}
        facts = {"manifest_version": 3, "name": "watcher", "version": "1"}
        (watcher / "manifest.json").write_text(json.dumps({**facts, "content_scripts": [script]}))
        control = free_port()
        command = [CHROMIUM, "--headless=new", *FLAGS, f"--load-extension={watcher}"]
        command += [f"--user-data-dir={folder}/profile", "--window-size=1280,900"]
        browser = subprocess.Popen(
            [*command, f"--remote-debugging-port={control}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(f"http://localhost:{control}/json/version")
            found = []
            # The first two fill the caches of files and of compiled scripts.
            for _ in range(rounds + 2):
                ask = urllib.request.Request(f"http://localhost:{control}/json/new?{url}")
                ask.method = "PUT"
                with urllib.request.urlopen(ask, timeout=30) as answer:
                    tab = json.load(answer)["id"]
                found.append(reports.get(timeout=60))
                time.sleep(1)
                urllib.request.urlopen(f"http://localhost:{control}/json/close/{tab}").close()
        finally:
            browser.terminate()
            browser.wait(timeout=20)
            collector.shutdown()
    return {
        f"{what}_ms": summary([report[what] for report in found[2:]])
        for what in ("pictures", "everything")
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def wait_for(address: str) -> None:
    for _ in range(200):
        try:
            with urllib.request.urlopen(address, timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{address} does not answer")


def summary(values: list[float]) -> dict:
    return {
        "median": round(statistics.median(values), 1),
        "min": round(min(values), 1),
        "max": round(max(values), 1),
        "n": len(values),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--port", type=int, default=8599)
    asked = parser.parse_args()
    url = f"http://localhost:{asked.port}"
    server = start_server(asked.port)
    try:
        record = {"open_warm": opening(url, 9)}
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(url)
            page.wait_for_selector("[data-drawn]", state="attached")
            settle(page)
            record["four_bundled_photos"] = changes(page, asked.rounds)
            page.close()
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"{url}/?source=My+files")
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "photo_12mp.jpg"
                Image.fromarray(photo_of_12_megapixels()).save(path, quality=90)
                page.locator("input[type=file]").first.set_input_files(str(path))
                page.wait_for_selector("[data-drawn]", state="attached", timeout=60_000)
                settle(page)
                record["one_photo_of_12_megapixels"] = changes(page, asked.rounds)
            browser.close()
    finally:
        server.terminate()
        server.wait(timeout=20)
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
