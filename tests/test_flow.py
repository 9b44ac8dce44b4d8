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
    "normviz.networks": 6,
    "normviz.observe": 6,
    "normviz.figures": 7,
    "normviz.export": 8,
    "normviz": 9,
    "normviz.cli": 10,
    "normviz.__main__": 11,
    "app": 12,
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


def imported(path: Path) -> list[str]:
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            base = node.module or ""
            found += [
                f"{base}.{alias.name}" if f"{base}.{alias.name}" in RANKS else base
                for alias in node.names
            ]
    return found


def test_every_room_has_its_place():
    rooms = {".".join(module_of(path).split(".")[:2]) for path in FILES}
    assert {room for room in rooms if not room.startswith("app")} <= set(RANKS)


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_point_one_way(path):
    own = module_of(path)
    for name in imported(path):
        if name.split(".")[0] in ("normviz", "app"):
            assert rank(name) <= rank(own), f"{own} imports {name}, which lies downstream"
        if own.startswith("normviz"):
            assert name.split(".")[0] != "streamlit", f"{own} imports streamlit"
            if not own.startswith("normviz.figures"):
                assert name.split(".")[0] != "plotly", f"{own} imports plotly"


def test_importing_the_package_is_light():
    code = "import sys, normviz; print({'plotly', 'streamlit', 'onnx'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
