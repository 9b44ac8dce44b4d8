"""`normviz app`: open the page in a browser."""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path

from normviz.cli.arguments import AddCommand, whole
from normviz.cli.words import FAILED, say

ROOT = Path(__file__).resolve().parents[2]


def add(command: AddCommand) -> None:
    app = command(
        "app",
        run,
        "open the page in a browser; what follows -- goes to Streamlit",
        "app --port 8600 -- --server.headless true",
    )
    app.add_argument("--port", type=whole(1, 65535), metavar="N", help="port to serve on")


def run(asked: argparse.Namespace) -> int:
    if not (ROOT / "app" / "main.py").is_file():
        say("the page's folder app/ is not beside the package; run from a copy of the repository.")
        return FAILED
    if importlib.util.find_spec("streamlit") is None:
        say("the page needs Streamlit: pip install -r requirements.txt.")
        return FAILED
    command = [sys.executable, "-m", "streamlit", "run", "app/main.py"]
    if asked.port is not None:
        command += ["--server.port", str(asked.port)]
    code = subprocess.run([*command, *asked.extra], cwd=ROOT, check=False).returncode
    # A process ended by signal n counts as 128 + n in a shell.
    return code if code >= 0 else 128 - code
