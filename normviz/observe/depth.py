"""What the layers of a network say of a normalization: by depth, and against a reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from normviz.observe.network import NetworkRecord, Prediction
from normviz.observe.recorder import LayerRecord
from normviz.observe.sentences import number


def shifts(record: LayerRecord, reference: LayerRecord) -> np.ndarray:
    """How far each channel's mean lies from the reference's: (mean − mean_ref) / std_ref.

    NaN where the reference's channel does not vary.

    >>> a = LayerRecord.of(np.array([[[0.0, 2.0]]]))
    >>> b = LayerRecord.of(np.array([[[3.0, 5.0]]]))
    >>> shifts(b, a).tolist()
    [3.0]
    """
    std = reference.std
    varies = std > 1e-6 * (np.abs(reference.mean) + std)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(varies, (record.mean - reference.mean) / np.where(varies, std, 1), np.nan)


def median_shift(record: LayerRecord, reference: LayerRecord) -> float:
    """The median over channels of the shift's absolute value; NaN where no channel varies."""
    found = np.abs(shifts(record, reference))
    known = found[~np.isnan(found)]
    return float(np.median(known)) if known.size else float("nan")


@dataclass(frozen=True)
class Measure:
    """A number of a layer (or two, as ends of a range), for drawing over depth.

    ``of(record, reference)`` computes it; most do without the reference.
    """

    title: str
    unit: str
    of: Callable[[LayerRecord, LayerRecord], tuple[float | None, ...]]
    log: bool = False


def _range(record: LayerRecord, _: LayerRecord) -> tuple[float, float]:
    low, high = record.percentiles((1.0, 99.0))
    return float(low), float(high)


MEASURES: dict[str, Measure] = {
    "std": Measure("Std", "std of pre-activations", lambda r, _: (r.layer_std,), log=True),
    "shift": Measure(
        "Shift from the reference",
        "median shift of a channel (stds)",
        lambda r, held: (None if r is held else median_shift(r, held),),
        log=True,
    ),
    "range": Measure("1–99 % range", "1st and 99th percentile", _range),
    "mean": Measure("Mean", "mean of pre-activations", lambda r, _: (r.layer_mean,)),
    "firing": Measure("Firing", "units above 0 (%)", lambda r, _: (100 * r.layer_firing,)),
    "dead": Measure(
        "Dead channels", "channels with no unit above 0 (%)", lambda r, _: (100 * r.layer_dead,)
    ),
    "saturated": Measure(
        "Saturated",
        "units at the activation's end (%)",
        lambda r, _: (None if r.layer_saturated is None else 100 * r.layer_saturated,),
    ),
}


def network_shift(record: NetworkRecord, reference: NetworkRecord) -> float:
    """The median over layers of their median shifts, in stds of the reference."""
    pairs = zip(record.layers, reference.layers, strict=True)
    found = np.array([median_shift(one, other) for one, other in pairs])
    known = found[~np.isnan(found)]
    return float(np.median(known)) if known.size else float("nan")


def ranked_shifts(
    record: NetworkRecord, reference: NetworkRecord, rows: int = 64
) -> tuple[np.ndarray, np.ndarray]:
    """Each layer's shifts from lowest to highest, as ``(rows, layers)``, and which channel each is.

    Layers of more channels show every k-th of that order, those of fewer repeat theirs; channels
    that do not vary come last, as NaN.
    """
    values = np.full((rows, len(record.layers)), np.nan)
    channels = np.zeros((rows, len(record.layers)), np.int64)
    for at, (one, other) in enumerate(zip(record.layers, reference.layers, strict=True)):
        found = shifts(one, other)
        order = np.argsort(found, kind="stable")
        picked = order[np.linspace(0, len(order) - 1, rows).round().astype(int)]
        values[:, at], channels[:, at] = found[picked], picked
    return values, channels


def agreeing(found: Sequence[Prediction], reference: Sequence[Prediction]) -> int:
    """For how many images the most likely class is the reference's."""
    pairs = zip(found, reference, strict=False)
    return sum(one.classes[0] == other.classes[0] for one, other in pairs)


def depth_sentence(
    records: Sequence[tuple[str, NetworkRecord]],
    reference: tuple[str, NetworkRecord],
    light: str = "",
) -> str:
    """Say under which method the channels stay nearest to the reference, and which moves them most.

    ``records`` are (title, record) of the methods, ``reference`` that of what they are held
    against, ``light`` what the images of the records are in where it is another one.
    """
    name, held = reference
    found = [(network_shift(record, held), title, record) for title, record in records]
    known = sorted((one for one in found if not np.isnan(one[0])), key=lambda one: one[0])
    start = (
        f"At {light}, “" if light.endswith("EV") else f"In the light {light}, “" if light else "“"
    )
    if not known:
        return f"What each layer feels {name}. Choose a second method to hold against it."
    least, most = known[0], known[-1]
    text = (
        f"{start}{least[1]}” keeps the channels nearest to those {name}: moved by "
        f"{number(least[0], least[0])} of their std (median of all layers"
        f"{_classes(least[2], held)})"
    )
    if least is not most:
        text += (
            f"; “{most[1]}” moves them most, by {number(most[0], most[0])}"
            f"{_classes(most[2], held, ' (', ')')}"
        )
    return text + "."


def _classes(
    record: NetworkRecord, held: NetworkRecord, before: str = "; ", after: str = ""
) -> str:
    if not record.predictions or len(record.predictions) != len(held.predictions):
        return ""
    same = agreeing(record.predictions, held.predictions)
    return f"{before}same first guess for {same} of {len(held.predictions)} images{after}"
