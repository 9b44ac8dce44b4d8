"""Adding images one after the other into the statistics of a set, in place."""

from __future__ import annotations

import numpy as np

from normviz.images import Image
from normviz.read import Problem
from normviz.statistics.across import Across
from normviz.statistics.counts import Counts
from normviz.statistics.dataset import MOST_LABELS, DatasetStatistics, sorted_problems
from normviz.statistics.measure import Key, Measured, measured
from normviz.statistics.moments import Moments
from normviz.statistics.patches import PatchPlan, PatchSums
from normviz.statistics.pixel_sums import PositionSums
from normviz.statistics.rows import Row, kept


class _Totals:
    """Running sums of images, in place: one table a kind of image, and the sums between images."""

    def __init__(self) -> None:
        self.tables: dict[Key, np.ndarray] = {}
        self.moments: dict[Key, Moments] = {}
        self.across: dict[int, Across] = {}

    def add(self, one: Measured) -> None:
        key, summary = one.key, one.summary
        if isinstance(summary, Counts):
            if key in self.tables:
                self.tables[key] += summary.table
            else:
                self.tables[key] = summary.table.copy()
        else:
            known = self.moments.get(key)
            self.moments[key] = known.merge(summary) if known else summary
        known_across = self.across.get(key.channels)
        self.across[key.channels] = known_across.merge(one.across) if known_across else one.across

    def parts(self) -> dict[Key, Counts | Moments]:
        # Copies: the statistics that were handed out must not grow.
        tables = {key: Counts(table.copy()) for key, table in self.tables.items()}
        return {**tables, **self.moments}


class Accumulator:
    """Adds images one by one; :meth:`statistics` is what they are so far.

    ``mean_image``: the side of the mean and std image, None for neither. ``patches``: which
    patches to sum for whitening, None for none.
    """

    def __init__(self, mean_image: int | None = None, patches: PatchPlan | None = None) -> None:
        self._side, self._plan = mean_image, patches
        self._all = _Totals()
        self._labels: dict[str, _Totals] = {}
        self._too_many_labels = False
        self._rows: list[Row] = []
        self._pixel_sums: dict[int, PositionSums] = {}
        self._patch_sums: dict[tuple[int, int], PatchSums] = {}
        self._problems: list[Problem] = []

    def add(self, image: Image, position: int = 0) -> Row:
        """Add an image and return its row."""
        one = measured(image, position)
        self._all.add(one)
        self._rows.append(one.row)
        if image.label is not None and not self._too_many_labels:
            self._labels.setdefault(image.label, _Totals()).add(one)
            if len(self._labels) > MOST_LABELS:
                self._too_many_labels, self._labels = True, {}
        if self._side:
            sums = PositionSums.of(image, self._side)
            known = self._pixel_sums.get(image.channels)
            self._pixel_sums[image.channels] = known.merge(sums) if known else sums
        if self._plan and (drawn := PatchSums.of(image, self._plan, one.row.rank)):
            key = (image.channels, drawn.top)
            before = self._patch_sums.get(key)
            self._patch_sums[key] = before.merge(drawn) if before else drawn
        return one.row

    def fail(self, problem: Problem) -> None:
        """Count something that could not be read."""
        self._problems.append(problem)

    def statistics(self) -> DatasetStatistics:
        """Return the statistics of what was added so far."""
        return DatasetStatistics(
            parts=self._all.parts(),
            across=dict(self._all.across),
            rows=kept(self._rows),
            unreadable=len(self._problems),
            problems=sorted_problems(self._problems),
            side=self._side,
            pixel_sums=dict(self._pixel_sums),
            plan=self._plan,
            patch_sums=dict(self._patch_sums),
            labels={
                label: DatasetStatistics(parts=totals.parts(), across=dict(totals.across))
                for label, totals in self._labels.items()
            },
            too_many_labels=self._too_many_labels,
        )
