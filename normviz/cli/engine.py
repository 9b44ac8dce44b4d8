"""Where a scan is measured: as asked for, or as its size makes worth while."""

from __future__ import annotations

import argparse
import contextlib
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from normviz.cli.arguments import whole
from normviz.errors import ParameterError
from normviz.read import Parts, parts_of
from normviz.statistics import Dask
from normviz.statistics.engines import Engine, Here, Pool, Processes

# Starting a pool takes about a second; it is made for this much work of one process, in seconds.
_WORTH_A_POOL = 3.0

# No pool for fewer images than this, whatever they take: timing two of them is part of the work.
_FEWEST = 48

# Handed to a worker at a time: few of a small set, so that all workers get some.
_IMAGES_A_PART, _FEW_A_PART, _SMALL_SET = 32, 4, 512


def add_engine(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group(
        "where the work is done (the result is the same to the bit whatever is chosen)"
    )
    group.add_argument(
        "--workers",
        type=whole(1, 1024),
        metavar="N",
        help="how many at a time (default: all cores, or 1 where starting more does not pay); "
        "1 works in this process",
    )
    group.add_argument(
        "--engine",
        choices=("processes", "threads", "dask"),
        help="local processes (default), threads of this process, or Dask, whose local cluster is "
        "started when no --scheduler is named (pip install dask distributed)",
    )
    group.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="of a running Dask cluster, tcp://HOST:PORT; with dask",
    )


def parts_asked(source: Any, seed: int | None = None) -> Parts:
    """Cut a source into parts, the same ones whatever the engine."""
    parts = parts_of(source, _IMAGES_A_PART, seed)
    if parts.total is not None and parts.total <= _SMALL_SET:
        parts = parts.in_parts_of(_FEW_A_PART)
    return parts


@contextlib.contextmanager
def engine_asked(asked: argparse.Namespace, parts: Parts) -> Iterator[Engine]:
    """Yield the engine that the options name; by default the one that the source is worth.

    Parts that do not travel stay in this process: threads take the place of processes.
    """
    workers: int | None = asked.workers
    if asked.scheduler is not None and asked.engine != "dask":
        raise ParameterError("--scheduler is for --engine dask.")
    if asked.engine == "dask" and parts.travels:
        with Dask(asked.scheduler, workers) as engine:
            yield engine
    elif asked.engine == "threads" or (workers != 1 and not parts.travels):
        with ThreadPoolExecutor(workers or _cores()) as pool:
            try:
                yield Pool(pool, ahead=2 * (workers or _cores()))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    elif workers == 1:
        yield Here()
    elif asked.engine == "processes" or workers is not None or _worth_a_pool(parts):
        yield Processes(workers or _cores())
    else:
        yield Here()


def _cores() -> int:
    # Of a container or a batch job often fewer than the machine has.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _worth_a_pool(parts: Parts) -> bool:
    if _cores() == 1 or len(parts) < 2:
        return False
    if parts.total is None:
        return True
    if parts.total < _FEWEST:
        return False
    # The second, for the first one pays for what is loaded on first use.
    items = parts[0].images()
    next(items, None)
    before = time.perf_counter()
    next(items, None)
    return parts.total * (time.perf_counter() - before) >= _WORTH_A_POOL
