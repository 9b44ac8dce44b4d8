"""Imports follow the flow of values, and heavy libraries stay in their rooms."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# A module may import from its own room and from those with a lower number.
RANKS = {
    "normviz.errors": 0,
    "normviz.version": 0,
    "normviz.images": 1,
    "normviz.light": 2,
    "normviz.display": 2,
    "normviz.presets": 2,
    "normviz.samples": 2,
    "normviz.read": 3,
    "normviz.statistics": 4,
    "normviz.methods": 5,
    "normviz.pipeline": 6,
    "normviz.imports": 7,
    "normviz.networks": 7,
    "normviz.observe": 7,
    "normviz.inspection": 8,
    "normviz.lab": 8,
    "normviz.figures": 9,
    "normviz.export": 10,
    "normviz": 11,
    "normviz.cli": 12,
    "normviz.__main__": 13,
    "app": 14,
}
HEAVY = {
    "dask": "normviz.statistics.on_dask",
    "distributed": "normviz.statistics.on_dask",
    "onnx": "normviz.networks",
    "onnxruntime": "normviz.networks",
    "plotly": "normviz.figures",
}
FILES = sorted([*(ROOT / "normviz").rglob("*.py"), *(ROOT / "app").rglob("*.py")])


def module_of(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def rank(module: str) -> int:
    parts = module.split(".")
    if parts[0] == "app":
        return RANKS["app"]
    name = ".".join(parts[:2])
    return RANKS[name] if name in RANKS else RANKS["normviz"]


def imported(source: str) -> list[str]:
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            base = node.module or ""
            found += [
                f"{base}.{alias.name}" if f"{base}.{alias.name}" in RANKS else base
                for alias in node.names
            ]
    return found


def complaints(own: str, source: str) -> list[str]:
    """What the imports of module ``own`` break: the flow's direction, or a library's room."""
    found = []
    for name in imported(source):
        library = name.split(".")[0]
        if library in ("normviz", "app") and rank(name) > rank(own):
            found.append(f"{own} imports {name}, which lies downstream")
        if own.startswith("normviz"):
            if library == "streamlit":
                found.append(f"{own} imports streamlit")
            if not own.startswith(HEAVY.get(library, "normviz")):
                found.append(f"{own} imports {library}")
    return found


def test_every_room_has_its_place():
    rooms = {".".join(module_of(path).split(".")[:2]) for path in FILES}
    assert {room for room in rooms if not room.startswith("app")} <= set(RANKS)
    assert {"normviz.methods", "normviz.read", "normviz.cli", "app.main"} <= rooms


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_point_one_way(path):
    assert complaints(module_of(path), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("own", "source", "said"),
    [
        ("normviz.images", "from normviz.statistics import scan", "downstream"),
        ("normviz.statistics.counts", "from normviz.methods.base import Fitted", "downstream"),
        ("normviz.methods.base", "def f():\n    from normviz import figures", "downstream"),
        ("normviz.methods.base", "import normviz", "downstream"),
        ("normviz.methods.base", "from normviz.pipeline import Pipeline", "downstream"),
        ("normviz.methods.base", "from normviz import METHODS", "downstream"),
        ("normviz.read.image", "from normviz import samples, statistics", "downstream"),
        ("normviz.figures.theme", "from normviz.export import zip_of", "downstream"),
        ("normviz.cli", "from app import keys", "downstream"),
        ("normviz.export.tables", "import streamlit as st", "streamlit"),
        ("normviz.figures.theme", "from streamlit.delta_generator import X", "streamlit"),
        ("normviz.observe.ranges", "import plotly.graph_objects as go", "plotly"),
        ("normviz.methods.base", "if True:\n    import onnx", "onnx"),
        ("normviz.statistics.engines", "from distributed import Client", "distributed"),
    ],
)
def test_a_planted_backward_import_is_found(own, source, said):
    assert said in "".join(complaints(own, source))


@pytest.mark.parametrize(
    ("own", "source"),
    [
        ("normviz.methods.base", "from normviz.statistics.image import ImageStatistics"),
        ("normviz.pipeline.effect", "from normviz.methods.base import Fitted"),
        ("normviz.figures.theme", "import plotly.graph_objects as go"),
        ("normviz.cli", "import normviz as nv\nfrom normviz import figures"),
        ("app.main", "import streamlit\nfrom normviz.figures import theme"),
    ],
)
def test_forward_imports_are_left_in_peace(own, source):
    assert complaints(own, source) == []


def test_importing_the_package_is_light():
    heavy = {*HEAVY, "streamlit"}
    code = f"import sys, normviz; print({heavy} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
