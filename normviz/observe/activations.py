"""What the neurons of a layer receive: range, share that fire, and day against night.

A *unit* is one output position of one filter. It fires when its pre-activation is above 0, since
then ReLU lets it through.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from normviz.errors import ShapeError
from normviz.images import refuse_non_finite


@dataclass(frozen=True)
class ActivationRange:
    """The activation range of a layer on one image, over all its units.

    ``p0_1`` … ``p99_9`` are percentiles with linear interpolation, ``std`` is the population one.
    ``firing`` is the share of units above 0, ``filter_firing`` the same for each filter, ``dead``
    the share of filters without any unit above 0 in this image. ``saturated`` is the share of
    units above the saturation bound, None where the layer has none.
    """

    units: int
    min: float
    p0_1: float
    p1: float
    p25: float
    p50: float
    p75: float
    p99: float
    p99_9: float
    max: float
    mean: float
    std: float
    firing: float
    dead: float
    filter_firing: tuple[float, ...]
    saturated: float | None = None


def activation_range(pre: np.ndarray, saturation: float | None = None) -> ActivationRange:
    """Measure pre-activations ``(h, w, F)``; exact, over every unit.

    ``saturation`` is the value above which the activation stops growing (6 for ReLU6).

    Raises :class:`ShapeError` for another shape, no units, NaN or infinity.

    >>> found = activation_range(np.array([[[-1.0, 1.0], [-3.0, 3.0]]], np.float32))
    >>> found.firing, found.dead, found.filter_firing, found.p50
    (0.5, 0.5, (0.0, 1.0), 0.0)
    """
    _check(pre)
    ranked = np.sort(pre, axis=None)
    # NaN is sorted last, so the two ends tell whether every value is finite.
    if not (np.isfinite(ranked[0]) and np.isfinite(ranked[-1])):
        refuse_non_finite(pre, "pre-activations")
    filters = pre.shape[2]
    firing = np.count_nonzero(pre.reshape(-1, filters) > 0, axis=0)
    mean, std = _mean_and_std(pre)
    above = None
    if saturation is not None:
        above = 1.0 - int(np.searchsorted(ranked, saturation, side="right")) / pre.size
    return ActivationRange(
        units=pre.size,
        min=float(ranked[0]),
        p0_1=_percentile(ranked, 0.1),
        p1=_percentile(ranked, 1),
        p25=_percentile(ranked, 25),
        p50=_percentile(ranked, 50),
        p75=_percentile(ranked, 75),
        p99=_percentile(ranked, 99),
        p99_9=_percentile(ranked, 99.9),
        max=float(ranked[-1]),
        mean=mean,
        std=std,
        firing=int(firing.sum()) / pre.size,
        dead=int(np.count_nonzero(firing == 0)) / filters,
        filter_firing=tuple((firing / (pre.size // filters)).tolist()),
        saturated=above,
    )


@dataclass(frozen=True)
class DayNight:
    """How differently one layer sees a day and a night version of one scene.

    ``difference`` is the mean over units of abs(night − day), divided by day's std.
    ``firing_difference`` is the share of units that fire at night minus that by day.
    ``difference`` is None where the pre-activations by day are all the same.
    """

    day: ActivationRange
    night: ActivationRange
    difference: float | None
    firing_difference: float


def day_night(
    pre_day: np.ndarray,
    pre_night: np.ndarray,
    saturation: float | None = None,
    day: ActivationRange | None = None,
) -> DayNight:
    """Compare the pre-activations ``(h, w, F)`` of one scene by day and by night, unit by unit.

    ``day`` is the activation range of ``pre_day`` where the caller has it already.

    Raises :class:`ShapeError` when the two differ in shape.

    >>> day = np.array([[[1.0], [3.0]]])
    >>> seen = day_night(day, day / 2)
    >>> seen.difference, seen.firing_difference
    (1.0, 0.0)
    """
    if pre_day.shape != pre_night.shape:
        raise ShapeError(
            f"Day and night of one scene have the same shape; got {pre_day.shape} and "
            f"{pre_night.shape}. Compare two versions of one photo."
        )
    day = day or activation_range(pre_day, saturation)
    night = activation_range(pre_night, saturation)
    # OpenCV's L1 norm adds in float64 without an array of differences.
    distance = cv2.norm(_flat(pre_night), _flat(pre_day), cv2.NORM_L1) / pre_day.size
    return DayNight(
        day,
        night,
        difference=distance / day.std if day.std > 0 else None,
        firing_difference=night.firing - day.firing,
    )


def _check(pre: np.ndarray) -> None:
    if pre.ndim != 3 or pre.size == 0:
        raise ShapeError(
            f"Pre-activations are (height, width, filters) of at least one unit; "
            f"got shape {pre.shape}."
        )


def _percentile(ranked: np.ndarray, q: float) -> float:
    place = q / 100 * (ranked.size - 1)
    below = int(place)
    above = min(below + 1, ranked.size - 1)
    low, high = float(ranked[below]), float(ranked[above])
    return low + (place - below) * (high - low)


def _mean_and_std(pre: np.ndarray) -> tuple[float, float]:
    # OpenCV adds in float64 without a float64 copy of the whole layer.
    mean, std = cv2.meanStdDev(_flat(pre))
    return float(mean[0, 0]), float(std[0, 0])


def _flat(pre: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(pre).reshape(-1, 1)
