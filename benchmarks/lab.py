"""How long each experiment of the lab takes, from the call to its verdict; two beside PyTorch.

    python benchmarks/lab.py [--only KEY ...] [--peer PYTHON [--only-peer] [--rounds 3]]
        [--out FILE]

Each runs once as the app runs it: two new processes, one BLAS thread each. Recorded are the wait
for the first record, the whole, the processor seconds and the largest memory of a process, and the
load of the machine meanwhile: on a machine that does other things the processor seconds say more,
half of them being the time on two idle cores.

With ``--peer``, the Python of an environment that has PyTorch and normviz's requirements, whole
experiments run there too, trained by PyTorch (lab_pytorch.py): the same images, batches, start
weights, rates, seeds and verdicts, two new processes of one thread, their start counted on both
sides. Each round runs both, in an order that alternates, and ratios are taken within a round.
"shift" has batches of 32, as most experiments; "full_batch" 300 images a step, and batch norm.
The two must agree in the first point of each curve at the smallest rate (mean loss of the first 25
steps or 10) and in the verdict. Larger rates amplify rounding: there float32 strays from float64 as
far as PyTorch does from normviz.

Writes benchmarks/results/lab.json; ``--only-peer`` leaves the experiments' times there as they are,
and a run without ``--peer`` the comparison.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from standardize import spread

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
sys.path.insert(0, str(ROOT))

COMPARED = ("shift", "full_batch")
OURS, PEER = "normviz", "pytorch"
POINT = ("step", "losses")
"""What changes from point to point of a curve."""
TIMES = ("first", "whole", "processor")
TOLERANCE = 0.001
"""Relative; points of curves have four digits."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--peer", help="the Python of an environment that has PyTorch")
    parser.add_argument("--only-peer", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS / "lab.json")
    parser.add_argument("--inside", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        print(json.dumps(inside(*asked.inside)))
        return
    if asked.only_peer and not asked.peer:
        parser.error("--only-peer needs --peer.")
    record = json.loads(asked.out.read_text()) if asked.out.exists() else {}
    if not asked.only_peer:
        record |= {
            "command": "python benchmarks/lab.py",
            "machine": machine(),
            "experiments": experiments(asked.only),
        }
    if asked.peer:
        record["beside_pytorch"] = {
            "command": "python benchmarks/lab.py --peer PYTHON --only-peer",
            "machine": machine(),
            **beside(asked.peer, asked.rounds),
        }
    asked.out.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def machine() -> dict[str, object]:
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }


def experiments(only: list[str]) -> dict[str, dict[str, Any]]:
    from normviz.lab import EXPERIMENTS

    rows = {}
    for key in only or EXPERIMENTS:
        # From a process of its own, whose largest child is this experiment's.
        rows[key] = row = said(sys.executable, __file__, "--inside", OURS, key)["times"]
        print(
            f"{key:18} first {row['first']:5.2f} s  whole {row['whole']:6.2f} s  processor "
            f"{row['processor']:6.2f} s  {row['memory_mb']:4.0f} MB  load {row['load']:.1f}",
            flush=True,
        )
    return rows


def said(*command: str) -> Any:
    """Run a command that finds normviz and these benchmarks; return its last line as JSON."""
    path = os.pathsep.join((str(ROOT), str(ROOT / "benchmarks")))
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": path},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(experiment) -> tuple[dict[str, Any], list]:
    """Run an experiment; return its times, and its records with the result last."""
    from normviz.lab import run

    records = []
    before, begun, first = spent(), time.perf_counter(), None
    for record in run(experiment):
        first = first or time.perf_counter() - begun
        records.append(record)
    whole = time.perf_counter() - begun
    assert first is not None
    row = {
        "first": round(first, 2),
        "whole": round(whole, 2),
        "processor": round(spent() - before, 2),
        # Of the largest process, in kB on Linux.
        "memory_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
        "load": round(os.getloadavg()[0], 1),
        "seeds": len(experiment.spec.seeds),
    }
    return row, records


def inside(side: str, key: str) -> dict[str, Any]:
    """Time one side of a comparison, and say what it found."""
    from normviz.lab import EXPERIMENTS

    experiment = EXPERIMENTS[key]
    if side == PEER:
        from lab_pytorch import in_pytorch

        experiment = in_pytorch(experiment)
    row, (*records, result) = timed(experiment)
    early: dict[str, list[float | None]] = {}
    for record in records:
        if record.kind == "curve" and "losses" in record.values:
            about = {name: of for name, of in record.values.items() if name not in POINT}
            early.setdefault(f"seed {record.seed}, {about}", record.values["losses"])
    verdicts = [verdict.to_json() for verdict in result.verdicts]
    return {"times": row, "early": early, "verdicts": verdicts}


def beside(peer: str, rounds: int) -> dict[str, Any]:
    """Run the compared experiments on both sides in turn."""
    # Also brings PyTorch's files into memory before the clock starts.
    asks = (
        "import json, numpy, torch;"
        "print(json.dumps({'numpy': numpy.__version__, 'torch': torch.__version__}))"
    )
    found: dict[str, Any] = {"peer": said(peer, "-c", asks), "rounds": rounds}
    pythons = {OURS: sys.executable, PEER: peer}
    for key in COMPARED:
        runs: dict[str, list[dict[str, Any]]] = {OURS: [], PEER: []}
        for number in range(rounds):
            for side in (OURS, PEER) if number % 2 == 0 else (PEER, OURS):
                runs[side].append(said(pythons[side], __file__, "--inside", side, key))
        found[key] = row = compared(runs)
        print(told(key, row), flush=True)
    return found


def compared(runs: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return the times of both sides, their ratios, and how the first round's numbers agree."""
    times = {side: [one["times"] for one in own] for side, own in runs.items()}
    rows: dict[str, Any] = {
        side: {
            **{name: spread([one[name] for one in own]) for name in TIMES},
            "memory_mb": max(one["memory_mb"] for one in own),
            "load": spread([one["load"] for one in own]),
        }
        for side, own in times.items()
    }
    rows["pytorch_times_normviz"] = {
        name: spread([b[name] / a[name] for a, b in zip(times[OURS], times[PEER], strict=True)])
        for name in ("whole", "processor")
    }
    checked = [agreement(a, b) for a, b in zip(runs[OURS], runs[PEER], strict=True)]
    rows["agreement"] = checked[0]
    return rows


def agreement(ours: Mapping[str, Any], peer: Mapping[str, Any]) -> dict[str, Any]:
    """Return how far the two lie apart; ends the program if they did not do the same."""
    apart = [
        [relative(a, b) for a, b in zip(losses, peer["early"][about], strict=True)]
        for about, losses in ours["early"].items()
    ]
    # Rates ascend.
    smallest = max(row[0] for row in apart)
    words, others = ([verdict["word"] for verdict in one["verdicts"]] for one in (ours, peer))
    if smallest > TOLERANCE or words != others:
        sys.exit(f"They did not do the same: losses {smallest:.2g} apart; {words}, {others}.")
    return {
        "curves": len(apart) * len(apart[0]),
        "first_points_apart": {"smallest rate": smallest, "any rate": max(map(max, apart))},
        "verdicts": words,
        "effects": [
            {
                "what": a["what"],
                OURS: a["mean"],
                PEER: b["mean"],
                "low": a["low"],
                "high": a["high"],
            }
            for one, other in zip(ours["verdicts"], peer["verdicts"], strict=True)
            for a, b in zip(one["effects"], other["effects"], strict=True)
        ],
    }


def relative(a: float | None, b: float | None) -> float:
    """How far two losses lie apart; a run that diverged has None."""
    if a is None or b is None:
        return float(a is not b)
    return abs(a - b) / max(a, b)


def told(key: str, row: Mapping[str, Any]) -> str:
    lines = [key]
    for side in (OURS, PEER):
        middle = {name: row[side][name]["median"] for name in TIMES}
        lines.append(
            f"  {side:9} first {middle['first']:5.2f} s  whole {middle['whole']:6.2f} s  processor "
            f"{middle['processor']:6.2f} s  {row[side]['memory_mb']:4.0f} MB"
        )
    for name, ratio in row["pytorch_times_normviz"].items():
        lines.append(
            f"  pytorch/normviz, {name}: {ratio['median']:.2f} "
            f"({ratio['min']:.2f} to {ratio['max']:.2f})"
        )
    same = row["agreement"]
    lines.append(f"  first points of {same['curves']} curves, apart: {same['first_points_apart']}")
    lines.append(f"  both say: {', '.join(same['verdicts'])}")
    for effect in same["effects"]:
        ours, low, high, peer = (effect[name] for name in (OURS, "low", "high", PEER))
        lines.append(
            f"  {effect['what']}: {ours:.3g} ({low:.3g} to {high:.3g}), pytorch {peer:.3g}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
