"""How long each experiment of the lab takes, from the call to its verdict.

    python benchmarks/lab.py [--only KEY ...] [--peer PYTHON] [--out FILE]

Each runs once as the app runs it: two new processes, one BLAS thread each. Recorded are the wait
for the first record, the whole, the processor seconds and the largest memory of a process, and the
load of the machine meanwhile: on a machine that does other things the processor seconds say more,
half of them being the time on two idle cores. With ``--peer``, the Python of an environment that
has PyTorch, the runs of one network at nine learning rates are timed there too, eager and on one
thread.
Writes benchmarks/results/lab.json.
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
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
sys.path.insert(0, str(ROOT))

# The same work for both: 600 images 16×16×3, the small network, nine rates, batches of 32.
IMAGES, RATES, STEPS, BATCH = 600, 9, 150, 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--peer")
    parser.add_argument("--out", type=Path, default=RESULTS / "lab.json")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        print(json.dumps(in_pytorch()))
        return
    from normviz.lab import EXPERIMENTS

    keys = asked.only or list(EXPERIMENTS)
    record = {
        "command": "python benchmarks/lab.py",
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load_before": os.getloadavg()[0],
            "python": platform.python_version(),
        },
        "experiments": {},
    }
    for key in keys:
        record["experiments"][key] = row = timed(key)
        print(
            f"{key:18} first {row['first']:5.2f} s  whole {row['whole']:6.2f} s  processor "
            f"{row['processor']:6.2f} s  {row['memory_mb']:4.0f} MB  load {row['load']:.1f}",
            flush=True,
        )
    # After the experiments: the memory of a peer's process would be counted among theirs.
    record["training"] = training(asked.peer)
    asked.out.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(key: str) -> dict[str, object]:
    from normviz.lab import EXPERIMENTS, run

    before, begun, first = spent(), time.perf_counter(), None
    for _record in run(EXPERIMENTS[key]):
        first = first or time.perf_counter() - begun
    whole = time.perf_counter() - begun
    assert first is not None
    return {
        "first": round(first, 2),
        "whole": round(whole, 2),
        "processor": round(spent() - before, 2),
        # Of the largest process so far, in kB on Linux.
        "memory_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
        "load": round(os.getloadavg()[0], 1),
        "seeds": len(EXPERIMENTS[key].spec.seeds),
    }


def training(peer: str | None) -> dict[str, object]:
    """Milliseconds of processor time a step and learning rate, here and in PyTorch."""
    code = f"import runpy; m = runpy.run_path({str(__file__)!r}); print(m['in_numpy']())"
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, "PYTHONPATH": str(ROOT)}

    def said(command: list[str]) -> str:
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        return done.stdout.splitlines()[-1]

    found: dict[str, object] = {"numpy_ms": float(said([sys.executable, "-c", code]))}
    if peer:
        found |= json.loads(said([peer, __file__, "--inside"]))
    print(f"a step of one rate: {found}", flush=True)
    return found


def in_numpy() -> float:
    import numpy as np

    from normviz.lab.net import small_net
    from normviz.lab.optimizers import SGD
    from normviz.lab.training import trained

    x = np.random.default_rng(0).normal(size=(IMAGES, 16, 16, 3)).astype(np.float32)
    labels, rates = np.arange(IMAGES) % 10, np.geomspace(1e-4, 1e-1, RATES)
    best = float("inf")
    for _ in range(3):
        begun = time.process_time()
        trained(small_net((16, 16, 3), 10), x, labels, 0, rates, STEPS, BATCH, SGD())
        best = min(best, (time.process_time() - begun) / (STEPS * RATES))
    return round(1000 * best, 3)


def in_pytorch() -> dict[str, object]:
    import torch
    from torch import nn

    torch.set_num_threads(1)
    x = torch.randn(IMAGES, 3, 16, 16)
    labels = torch.arange(IMAGES) % 10
    best = float("inf")
    for _ in range(3):
        begun = time.process_time()
        for rate in torch.logspace(-4, -1, RATES).tolist():
            net = nn.Sequential(
                nn.Conv2d(3, 16, 5, 2),
                nn.ReLU(),
                nn.Conv2d(16, 32, 2, 2),
                nn.ReLU(),
                nn.Flatten(),
                nn.Linear(288, 10),
            )
            rule = torch.optim.SGD(net.parameters(), lr=rate)
            for step in range(STEPS):
                chosen = torch.arange(step * BATCH, (step + 1) * BATCH) % IMAGES
                rule.zero_grad()
                nn.functional.cross_entropy(net(x[chosen]), labels[chosen]).backward()
                rule.step()
        best = min(best, (time.process_time() - begun) / (STEPS * RATES))
    return {"pytorch_ms": round(1000 * best, 3), "pytorch": torch.__version__}


if __name__ == "__main__":
    main()
