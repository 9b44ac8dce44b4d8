"""What an experiment is: a frozen spec, the work of one seed, and a verdict computed from all.

The work is a generator of records, so that a page, a test and the command line read the same
stream and each can stop it. Same spec, same bits on one machine; on another the verdict.
"""

from __future__ import annotations

import dataclasses
import importlib
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from threadpoolctl import threadpool_limits

from normviz.errors import ParameterError
from normviz.lab.evidence import Verdict
from normviz.lab.labelled import LabelledSet
from normviz.lab.workers import Workers


@dataclass(frozen=True)
class Spec:
    """Everything that decides a run: seeds, sizes and thresholds, fixed beforehand.

    Raises :class:`ParameterError` unless there are 2…100 different seeds, 0…2³²−1.
    """

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4, 5)

    def __post_init__(self) -> None:
        sound = all(isinstance(seed, int) and 0 <= seed < 2**32 for seed in self.seeds)
        if not sound or len(set(self.seeds)) != len(self.seeds) or not 2 <= len(self.seeds) <= 100:
            raise ParameterError(
                "An experiment needs 2 to 100 different seeds, whole numbers from 0 to 4294967295: "
                f"a spread cannot be had from one. Got {self.seeds!r}."
            )


@dataclass(frozen=True)
class Record:
    """One thing that a run reports: of a seed, of what kind, and its numbers.

    ``kind`` "curve" holds one point of a training curve (method, step, losses), "seed" the numbers
    of a finished seed; others are an experiment's own.
    """

    seed: int
    kind: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Conclusion:
    """What all seeds together say: verdicts, and tables of numbers to draw."""

    verdicts: tuple[Verdict, ...]
    tables: Mapping[str, Any]


@dataclass(frozen=True)
class Result:
    """A finished run. ``seeds`` holds each seed's numbers, in the order of the spec."""

    experiment: str
    spec: Spec
    source: str
    verdicts: tuple[Verdict, ...]
    tables: Mapping[str, Any]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return {
            "experiment": self.experiment,
            "spec": dataclasses.asdict(self.spec),
            "source": self.source,
            "verdicts": [verdict.to_json() for verdict in self.verdicts],
            "tables": self.tables,
            "seconds": round(self.seconds, 2),
        }


@dataclass(frozen=True)
class Experiment:
    """A claim put to the test.

    ``work(spec, seed, source)`` yields records, the last of kind "seed"; ``conclude(spec, seeds)``
    computes the verdicts from the seeds' numbers. ``source`` is the set it is made for, None where
    the experiment makes its own images.
    """

    key: str
    title: str
    question: str
    claims: tuple[int, ...]
    spec: Spec
    work: Callable[[Any, int, Any], Iterator[Record]]
    conclude: Callable[[Any, list[Mapping[str, Any]]], Conclusion]
    source: LabelledSet | None
    limits: str = ""
    on_others: str = ""
    """What it does with another set than its own, where that is not the same."""
    colour: bool = False
    """Whether it needs colour images."""

    def refuse(self, source: LabelledSet | None) -> None:
        """Raise :class:`ParameterError` for a set that it cannot be run on."""
        if source is not None and self.colour and source.channels != 3:
            raise ParameterError(f"{self.title!r} needs colour images; {source.name} are grey.")


@dataclass(frozen=True)
class Task:
    """One seed's work for a process: an experiment's module and what to call it with."""

    module: str
    spec: Spec
    seed: int
    source: LabelledSet | None


def work_of(task: Task) -> Iterator[Record]:
    """Yield the records of a task."""
    experiment: Experiment = importlib.import_module(task.module).EXPERIMENT
    yield from experiment.work(task.spec, task.seed, task.source or experiment.source)


def run(
    experiment: Experiment,
    spec: Spec | None = None,
    source: LabelledSet | None = None,
    workers: int | Workers = 2,
) -> Generator[Record | Result, None, None]:
    """Yield records as they come and the :class:`Result` last.

    ``workers``: how many processes; 0 works in this thread; or processes that are kept for the
    next run. Closing the generator ends the processes at once, kept ones too.
    """
    experiment.refuse(source)
    spec = spec or experiment.spec
    begun = time.perf_counter()
    tasks = [Task(experiment.work.__module__, spec, seed, source) for seed in spec.seeds]
    seeds: dict[int, Mapping[str, Any]] = {}
    for number, record in _records(tasks, workers):
        if record.kind == "seed":
            seeds[number] = record.values
        yield record
    conclusion = experiment.conclude(spec, [seeds[number] for number in range(len(tasks))])
    used = source or experiment.source
    yield Result(
        experiment.key,
        spec,
        used.name if used else "made for this experiment",
        conclusion.verdicts,
        conclusion.tables,
        time.perf_counter() - begun,
    )


def _records(tasks: list[Task], workers: int | Workers) -> Iterator[tuple[int, Record]]:
    if isinstance(workers, Workers):
        yield from workers.run(tasks)
    elif workers:
        with Workers(min(workers, len(tasks))) as pool:
            yield from pool.run(tasks)
    else:
        for number, task in enumerate(tasks):
            # The limit is the process's own, so it is lifted while the caller has the record.
            records = work_of(task)
            while True:
                with threadpool_limits(1):
                    record = next(records, None)
                if record is None:
                    break
                yield number, record


def result_of(
    experiment: Experiment,
    spec: Spec | None = None,
    source: LabelledSet | None = None,
    workers: int | Workers = 2,
) -> Result:
    """Run to the end and return the result alone."""
    last: Record | Result | None = None
    for last in run(experiment, spec, source, workers):  # noqa: B007
        pass
    assert isinstance(last, Result)
    return last
