"""Write docs/parity.md from the cases: ``python -m tests.parity.table``."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path

import normviz as nv
from normviz.methods.registry import FAMILIES
from tests.parity.case import PHOTOS, SIDE, Case
from tests.parity.libraries import CASES, LIBRARIES

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "parity.md"

_LOOPS = "a loop over pixels written from the formula"

ELSEWHERE: dict[str, str] = {
    "lcn_divisive": f"{_LOOPS} (`tests/methods/test_local.py`)",
    "divisive": f"{_LOOPS} (`tests/methods/test_local.py`)",
    "grey_world": "values by hand and by NumPy (`tests/methods/test_references.py`)",
    "white_patch": "values by hand and by NumPy (`tests/methods/test_references.py`)",
    "shades_of_grey": f"{_LOOPS} (`tests/methods/test_constancy.py`)",
    "opponent": "values by hand (`tests/methods/test_colour_spaces.py`)",
    "decorrelated": "the authors' printed inverse matrices (`tests/methods/test_colour_spaces.py`)",
    "reinhard": "the reference's mean and std come out (`tests/methods/test_transfer.py`)",
    "retinex_msr": "the mean of three single scales (`tests/methods/test_retinex.py`)",
    "patch_zca": "scikit-learn's shrunk covariance of its patches, and the convolution written as "
    "whitened patches (`tests/methods/test_whitening.py`)",
    "image_zca": "Keras's generator and Kornia on small images (`tests/methods/test_whitening.py`)",
    "running_batch_norm": "PyTorch's and Keras's layers over a whole training "
    "(`tests/methods/test_features.py`)",
    "batch_renorm": "Keras's layer over a whole training, where it has one "
    "(`tests/methods/test_features.py`)",
}

HEAD = f"""# Parity with other libraries

Written by `python -m tests.parity.table` from the cases in `tests/parity/libraries`; a test fails
when the two are not the same. Each case runs a library's own call and compares its result with
normviz's float64 definition on three bundled photos ({", ".join(PHOTOS)}).
Methods that are fitted on a set are fitted on the bundled scenes of {SIDE} × {SIDE} pixels and
tried on three of them, normalizations of feature maps on the maps of a first convolution. In the
calls x are levels 0…255 and u = x / 255.

Numbers are the largest difference of any value, **as a share of the range of normviz's result**
(0.0039 of 0…1 is one level of 255). “Agrees” comes with the bound that is tested. “Differs” comes
with the number that was measured, and with the reason, which is tested too: a formula in NumPy with
that change gives the library's result. Where no formula is given, the number alone is tested; that
is marked *number only*.
"""


def written() -> str:
    """Return the whole document."""
    parts = [HEAD, versions()]
    for family, kinds in FAMILIES.items():
        parts.append(table(family, [(kind.key, kind.about.title) for kind in kinds]))
    norms = [(key, kind.about.title) for key, kind in nv.FEATURE_NORMS.items()]
    parts.append(table("In the network (feature maps)", norms))
    return "\n".join(part for part in parts if part)


def pinned() -> dict[str, str]:
    """The versions that the optional group of peers asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lines = project["project"]["optional-dependencies"]["peers"]
    return dict(line.split("==") for line in lines)


def versions() -> str:
    numbers = pinned()
    names = [
        f"{library.title} {numbers[library.name]}"
        for library in LIBRARIES
        if library.name in numbers
    ]
    return f"Checked with {', '.join(names)}, and the OpenCV and Pillow that normviz runs on.\n"


def table(title: str, methods: list[tuple[str, str]]) -> str:
    columns = ("Method", "Parameters", "Library", "Call", "Result")
    lines = [f"## {title}", "", row(columns), row(["---"] * len(columns))]
    alone = []
    for key, name in methods:
        cases = [case for case in CASES if case.method == key]
        if not cases:
            alone.append(f"- **{name}** (`{key}`): {ELSEWHERE[key]}")
        head = f"**{name}** `{key}`"
        for case in cases:
            options = ", ".join(f"{name} = {value}" for name, value in case.parameters.items())
            lines.append(row([head, options, case.library.title, call(case), result(case)]))
            head = ""
    if len(lines) == 4:
        lines = lines[:2]
    elif alone:
        lines.append("")
    if alone:
        lines += ["Not offered by these libraries, or checked against them elsewhere:", "", *alone]
    return "\n".join([*lines, ""])


def row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def call(case: Case) -> str:
    return f"`{case.call}`" + (f", on {case.view}" if case.view else "")


def result(case: Case) -> str:
    if not case.because:
        return f"agrees, ≤ {shown(case.gap)}" if case.gap else "agrees exactly"
    reason = case.because if case.stated else f"{case.because} *(number only)*"
    return f"**differs by {shown(case.gap)}**: {reason}"


def shown(gap: float) -> str:
    """Two digits; below a thousandth with a power of ten."""
    if gap >= 100:
        return f"{gap:.0f}"
    if gap >= 1e-3:
        return f"{gap:.2g}"
    digits, power = f"{gap:.1e}".split("e")
    return f"{float(digits):g}e{int(power)}"


def main() -> None:
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(written(), encoding="utf-8")
    agree = sum(not case.because for case in CASES)
    print(f"{len(CASES)} cases of {len(LIBRARIES)} libraries: {agree} agree")


if __name__ == "__main__":
    main()
