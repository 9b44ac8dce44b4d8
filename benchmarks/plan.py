"""What a hundred million images take, from the measured rates: fills in docs/hundred-million.md.

    python benchmarks/plan.py

Reads benchmarks/results/statistics.json and rewrites what stands between the markers of the
document. Everything that is not measured is a named assumption below.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "statistics.json"
DOCUMENT = ROOT / "docs" / "hundred-million.md"

IMAGES = 100_000_000
MEASURED_MEGAPIXELS = 640 * 427 / 1e6
A_SHARD = 10_000

# Assumptions; prices are of the order that large clouds list, and change.
DOLLARS_A_CORE_HOUR = 0.05
DOLLARS_A_THOUSAND_REQUESTS = 0.0004
DOLLARS_A_GB_LEAVING_THE_REGION = 0.09
# What one core does of the rate measured with one process, when all cores of a machine work.
SHARE_OF_THE_RATE = 0.7
GIGABITS_A_MACHINE = 10
CORES_A_MACHINE = 16
MEGABYTES_A_REQUEST = 8
# Megapixels and kilobytes of an image: the benchmark's, one made smaller for training, a camera's.
KINDS = {"as measured": None, "500 × 375 pixels": (0.1875, 110), "4000 × 3000 pixels": (12.0, 4000)}
# Means of images differ by about this much, as a share of the range: what `until` depends on.
SPREAD_OF_MEANS = 0.2
UNTIL = (0.01, 0.002, 0.001)


def main() -> None:
    record = json.loads(RESULT.read_text(encoding="utf-8"))
    text = DOCUMENT.read_text(encoding="utf-8")
    for name, table in tables(record).items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        text, found = re.subn(pattern, rf"\g<1>{table}\n\g<2>", text, flags=re.DOTALL)
        assert found == 1, f"the document has no place for {name!r}"
    DOCUMENT.write_text(text, encoding="utf-8")
    for name, table in tables(record).items():
        print(f"{name}\n{table}\n")


def tables(record: dict) -> dict[str, str]:
    return {"rates": rates(record), "cost": cost(record), "until": until(record)}


def rates(record: dict) -> str:
    one = record["variants"]["whole pass, 1 process"]["images_per_second"]["median"]
    two = record["variants"]["whole pass, 2 processes"]["images_per_second"]["median"]
    kilobytes = record["bytes"] / record["images"] / 1e3
    date, cores = record["machine"]["date"], record["machine"]["cores"]
    return markdown(
        ["measured", "value"],
        [
            ["JPEG, on average", f"640 × 427 pixels, {kilobytes:.0f} kB"],
            ["whole pass, 1 process", f"{one:,.0f} images/s"],
            ["whole pass, 2 processes", f"{two:,.0f} images/s"],
            ["when, on how many cores", f"{date}, {cores}"],
        ],
    )


def a_core(record: dict, megapixels: float | None) -> float:
    """Images per second of one core among many, in proportion to their pixels."""
    one = record["variants"]["whole pass, 1 process"]["images_per_second"]["median"]
    return one * SHARE_OF_THE_RATE * MEASURED_MEGAPIXELS / (megapixels or MEASURED_MEGAPIXELS)


def cost(record: dict) -> str:
    rows = []
    for name, kind in KINDS.items():
        megapixels, kilobytes = kind or (None, record["bytes"] / record["images"] / 1e3)
        rate = a_core(record, megapixels)
        core_hours = IMAGES / rate / 3600
        terabytes = IMAGES * kilobytes / 1e9
        megabits = rate * kilobytes * 8 / 1e3
        requests = IMAGES / A_SHARD * max(1, A_SHARD * kilobytes / 1e3 / MEGABYTES_A_REQUEST)
        money = core_hours * DOLLARS_A_CORE_HOUR + requests / 1000 * DOLLARS_A_THOUSAND_REQUESTS
        rows.append(
            [
                name,
                f"{terabytes:,.1f} TB",
                f"{rate:,.1f}",
                f"{core_hours:,.0f}",
                f"{core_hours / 64:,.1f} h",
                f"{core_hours / 1024:,.1f} h",
                f"{megabits * CORES_A_MACHINE / 1e3:,.1f} of {GIGABITS_A_MACHINE} Gbit/s",
                f"${money:,.0f}",
                f"${1000 * terabytes * DOLLARS_A_GB_LEAVING_THE_REGION:,.0f}",
            ]
        )
    return markdown(
        [
            "images",
            "bytes read",
            "images/s a core",
            "core hours",
            "on 64 cores",
            "on 1,024 cores",
            f"network of a machine of {CORES_A_MACHINE}",
            "money",
            "if the bytes leave their region",
        ],
        rows,
    )


def until(record: dict) -> str:
    rate = a_core(record, None)
    rows = []
    for width in UNTIL:
        images = max(100, (1.96 * SPREAD_OF_MEANS / width) ** 2)
        seconds = images / rate / CORES_A_MACHINE
        # Every shard that is read makes the rest smaller: n shards are as good as n / (1 − n/N).
        shards = images / (1 + images / (IMAGES / A_SHARD))
        rows.append(
            [
                f"`--until {width}`",
                f"{images:,.0f}",
                f"{seconds:,.0f} s" if seconds < 600 else f"{seconds / 60:,.0f} min",
                f"{shards * A_SHARD / 1e6:,.0f} million",
            ]
        )
    return markdown(
        [
            "",
            "images, each drawn for itself",
            f"on one machine of {CORES_A_MACHINE} cores",
            f"images, if shards of {A_SHARD:,} are all alike inside",
        ],
        rows,
    )


def markdown(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    main()
