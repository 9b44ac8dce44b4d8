"""What was found: the expected preprocessing, how sure that is, and what others cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from normviz.inspection.candidates import Candidate
from normviz.inspection.in_graph import InGraph
from normviz.inspection.recovered import Recovered
from normviz.methods.code import constants_code
from normviz.observe.sentences import percent

SURE = 0.95

FITS, POOR = 0.03, 0.3
"""Distances up to which the best candidate fits well, and beyond which none does: MobileNetV2 has
0.002 under its own constants, EfficientNet-Lite0 0.01."""

FEW_PHOTOS, FEW_FILTERS = 8, 6
"""Fewer than so many cannot make a verdict sure, whatever their bootstrap says."""
TOLD_APART = 0.9

CODE_TARGETS = ("numpy", "torchvision", "albumentations", "keras", "opencv")

ORDER_TRIALS = {"first layer": (120, 93, 92), "output": (40, 2, 2)}
"""By evidence: networks of benchmarks/results/inspection.json, how often RGB or BGR was said, and
how often rightly."""


@dataclass(frozen=True)
class Row:
    """One candidate family of the table, with what feeding it costs.

    ``distance`` is that at the first normalization with its 95 % interval; ``support`` the share
    of bootstrap draws of the photos in which the family ranks first of its order. Where no batch
    normalization is stored, ``score`` is its log-likelihood in nats, 0 for the most likely, and
    ``support`` its share of the likelihood, all families being as likely before, with ``interval``
    over the draws.
    ``deep`` is the median distance
    over all normalizations; ``entropy`` in bits; ``information`` that between photo and class;
    ``agreement`` the share of photos that get the same first class as under the verdict's,
    ``top5_change`` the share of its five first classes that are lost. None: not measured.
    """

    key: str
    titles: tuple[str, ...]
    order: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fed: tuple[float, float]
    support: float
    distance: float | None = None
    interval: tuple[float, float] | None = None
    score: float | None = None
    deep: float | None = None
    by_layer: tuple[float, ...] = ()
    entropy: float | None = None
    most_probable: float | None = None
    information: float | None = None
    mirror_agreement: float | None = None
    agreement: float | None = None
    top5_change: float | None = None
    accuracy: float | None = None
    top5: tuple[tuple[tuple[str, float], ...], ...] = ()

    @property
    def asked(self) -> bool:
        """Whether it was fed at all: without batch normalization not every turned one is."""
        return self.distance is not None or self.score is not None

    @property
    def title(self) -> str:
        """The first title, the order of channels behind it."""
        return f"{self.titles[0]}, fed as {self.order}"


@dataclass(frozen=True, eq=False)
class Verdict:
    """Which preprocessing a network expects.

    ``evidence`` is "first layer" (exact for any constants), "normalization" (the first one behind
    a bend) or "output" (weaker). ``order`` is None where RGB and BGR cannot be told apart;
    ``order_support`` is the evidence for the better one, 0.5…1. ``candidate`` is how to feed it.
    ``rivals`` are keys of families that the photos do not rule out. ``spoke`` names the evidence
    where no batch normalization is stored: "answers", "first filters"; ``filters`` is how many of
    the first normalization counted.
    """

    model: str
    input: str
    layout: str
    size: tuple[int, int]
    photos: int
    usual: bool
    evidence: str
    candidate: Candidate
    key: str
    titles: tuple[str, ...]
    support: float
    order: str | None
    order_support: float
    published: bool
    rivals: tuple[str, ...]
    recovered: Recovered | None
    in_graph: InGraph
    left_out: int
    rows: tuple[Row, ...]
    spoke: tuple[str, ...] = ()
    filters: int = 0
    dtype: str = "float32"
    notes: tuple[str, ...] = ()

    @property
    def row(self) -> Row:
        """The verdict's own row."""
        return next(row for row in self.rows if row.key == self.key)

    @property
    def confidence(self) -> str:
        """In words, from the kind of evidence, how well the best fits, and the support."""
        if self.only_one:
            return "high"
        if self.evidence == "output":
            return "weak"
        distance = self.row.distance
        if distance is None or not distance <= POOR or self.support < 0.6:
            return "low"
        few = self.photos < FEW_PHOTOS or self.filters < FEW_FILTERS
        if self.support < SURE and (few or not self.published):
            return "low"
        sure = self.published and distance <= FITS and self.support >= SURE and not few
        return "high" if sure else "fair"

    @property
    def only_one(self) -> bool:
        """Whether the type of the input leaves one family of constants."""
        return len({row.key.removesuffix("_bgr") for row in self.rows}) == 1

    def code(self, target: str = "numpy") -> str:
        """Return code that feeds the network right, from 8-bit RGB pixels (OpenCV: from BGR).

        ``normalize`` gives the values, ``feed`` one image in the network's layout, a batch of one.
        ``target``: "numpy", "torchvision", "albumentations", "keras" or "opencv".
        """
        gain, bias, turned = self.candidate.gain, self.candidate.bias, self.candidate.order == "BGR"
        if turned:
            gain, bias = gain[::-1], bias[::-1]
        if target != "opencv":
            return constants_code(target, gain, bias, turned=turned) + self._feed(target)
        body = constants_code("numpy", gain, bias).replace("channels as in the image", _fed(turned))
        head = "" if turned else "    image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)\n"
        define = "def normalize(image):\n"
        comment = "    # image: as cv2.imread gives it, BGR\n"
        body = body.replace(define, define + comment + head)
        return "import cv2\n" * (not turned) + body + self._feed("numpy")

    def _feed(self, target: str) -> str:
        """Code from one image of the network's size to its input, in layout, batch and type."""
        height, width = self.size
        first = self.layout == "NCHW"
        value, kind = "normalize(image)", self.dtype
        if target == "torchvision":
            value += ("" if first else ".movedim(0, -1)") + "[None]"
        else:
            value = f"np.asarray({value})" if target == "keras" else value
            value += ".transpose(2, 0, 1)" * first + "[None]"
        if kind != "float32":
            value += ".round()" * (kind == "uint8")
            value += f".to(torch.{kind})" if target == "torchvision" else f'.astype("{kind}")'
        channels = len(self.candidate.gain)
        shape = (
            f"1 × {channels} × {height} × {width}"
            if first
            else f"1 × {height} × {width} × {channels}"
        )
        return (
            f"\n\ndef feed(image):\n    # image: cut or resized to {height} × {width}\n"
            f"    return {value}  # {self.layout}: {shape}\n"
        )

    def words(self) -> list[str]:
        """Plain sentences, the verdict first, computed from the numbers."""
        return [
            self._expects(),
            self._how_sure(),
            self._order_words(),
            *([self.in_graph.words()] if self.in_graph.changes else []),
            *([self.recovered.words()] if self.recovered else []),
            *self._costs(),
            *self.notes,
        ]

    def _expects(self) -> str:
        order = "grey" if self.candidate.order == "grey" else self.order or "RGB or BGR"
        what = self.titles[0] if self.published else "constants that no preset has"
        more = len(self.titles) - 1
        also = f" (the same as {', '.join(self.titles[1:3])}" if more else ""
        also += f" and {more - 2} more)" if more > 2 else ")" if more else ""
        low, high = self.candidate.range
        verb = "most likely expects" if self.confidence in ("weak", "low") else "expects"
        return (
            f"{self.model} {verb} {order}, {self.layout}: {what}{also}. Black to white is fed as "
            f"{_number(low)} to {_number(high)}; of fractions 0 to 1 that is mean "
            f"{_all(self.candidate.mean)}, std {_all(self.candidate.std)}."
        )

    def _how_sure(self) -> str:
        if self.only_one:
            return "Confidence: high, for its input takes whole numbers 0 to 255 and nothing else."
        what = {
            "first layer": "the stored statistics of the first batch normalization",
            "normalization": "the stored statistics of the first batch normalization",
            "output": f"its {' and '.join(self.spoke)} alone, which is weaker evidence: no batch "
            "normalization is stored apart",
        }[self.evidence]
        among = "" if self.candidate.order == "grey" else f" of the {self.candidate.order} ones"
        share = (
            f"it ranks first{among} in {percent(self.support, 0)} of redrawn sets of the "
            f"{self.photos} photo{'s' if self.photos > 1 else ''}"
        )
        if self.evidence == "output":
            share = (
                f"of the likelihood it has {percent(self.support, 0)}, if all candidates were "
                "equally likely before"
            )
        named = [row for row in self.rows if row.key in self.rivals]
        rivals = "; ".join(row.title for row in named[:3])
        more = f" and {len(named) - 3} more" if len(named) > 3 else ""
        if named and self.evidence == "output":
            more += f", together {percent(sum(row.support for row in named), 0)}"
        left = f" Not ruled out, or too near to be told apart: {rivals}{more}." if named else ""
        distance = self.row.distance
        if distance is not None and not distance <= POOR:
            left += (
                f" Its distance of {distance:.3g} is large: no candidate fits, or the photos are "
                "unlike any that it was trained on."
            )
        return f"Confidence: {self.confidence}, from {what}; {share}.{left}"

    def _order_words(self) -> str:
        if self.candidate.order == "grey":
            return "The network is grey: there is no order of channels."
        if self.order is None:
            return (
                "RGB and BGR cannot be told apart with these photos (evidence for "
                f"{self.candidate.order} {percent(self.order_support, 0)}); the code assumes "
                f"{self.candidate.order}."
            )
        nearest = self.rows[0].order
        turned = (
            ""
            if nearest in (self.order, "grey") or self.evidence == "output"
            else f" The nearest candidate of all is fed as {nearest}; the order is told by what "
            "else fits in each."
        )
        sure = percent(self.order_support, 0)
        said = f"{self.order} fits better than the other order ({sure} by these"
        if self.evidence not in ORDER_TRIALS:
            return f"{said} photos).{turned}"
        trials, told, right = ORDER_TRIALS[self.evidence]
        return (
            f"{said} photos). Of {trials} networks written anew for the benchmark, with 16 photos "
            f"each, one of the two was said of {told}, rightly of {right}.{turned}"
        )

    def _costs(self) -> list[str]:
        own = self.row
        found = []
        for key, feeding in (
            ("unit", "fractions 0 to 1 without constants"),
            ("bytes", "pixels 0 to 255"),
            ("half", "−1 to 1"),
            ("imagenet", "ImageNet's mean and std"),
        ):
            match = [
                row
                for row in self.rows
                if row.key.removesuffix("_bgr") == key
                and row.order == self.candidate.order
                and row.key != self.key
                and row.key not in self.rivals
            ]
            if not match:
                continue
            row, parts = match[0], []
            if own.accuracy is not None and row.accuracy is not None:
                parts.append(
                    f"accuracy {percent(row.accuracy, 0)} instead of {percent(own.accuracy, 0)}"
                )
            if row.agreement is not None:
                parts.append(
                    f"another first class for {percent(1 - row.agreement, 0)} of the photos"
                )
            if row.distance is not None and own.distance:
                parts.append(
                    f"a distance of {_number(row.distance)} instead of {_number(own.distance)} at "
                    "the first normalization"
                )
            if row.entropy is not None and own.entropy is not None:
                parts.append(f"entropy {row.entropy:.2f} instead of {own.entropy:.2f} bits")
            if parts:
                found.append(f"Feeding it {feeding} costs: {', '.join(parts)}.")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and texts under stable keys, for JSON."""
        return {
            "model": self.model,
            "input": self.input,
            "layout": self.layout,
            "size": list(self.size),
            "photos": self.photos,
            "photos_brought_to_usual": self.usual,
            "evidence": self.evidence,
            "verdict": {
                "key": self.key,
                "titles": list(self.titles),
                "published": self.published,
                "mean": _numbers(self.candidate.mean),
                "std": _numbers(self.candidate.std),
                "gain": _numbers(self.candidate.gain),
                "bias": _numbers(self.candidate.bias),
                "fed": _numbers(self.candidate.range),
                "value_range": self.candidate.value_range,
                "support": self.support,
                "confidence": self.confidence,
                "order": self.order,
                "assumed_order": self.candidate.order,
                "order_support": self.order_support,
                "rivals": list(self.rivals),
            },
            "recovered": None
            if self.recovered is None
            else {
                "mean": _numbers(self.recovered.candidate.mean),
                "mean_interval": [_numbers(end) for end in self.recovered.mean_interval],
                "std": _numbers(self.recovered.candidate.std),
                "std_interval": [_numbers(end) for end in self.recovered.std_interval],
                "condition": _finite(self.recovered.condition),
                "felt": _finite(self.recovered.felt),
                "told": self.recovered.told,
            },
            "in_graph": {
                "changes": self.in_graph.changes,
                "gain": _numbers(self.in_graph.gain),
                "bias": _numbers(self.in_graph.bias),
                "turned": self.in_graph.turned,
                "steps": list(self.in_graph.steps),
            },
            "channels_left_out": self.left_out,
            "spoke": list(self.spoke),
            "candidates": [_row(row) for row in self.rows],
            "words": self.words(),
            "code": {target: self.code(target) for target in CODE_TARGETS},
        }


def _row(row: Row) -> dict[str, Any]:
    return {
        "key": row.key,
        "titles": list(row.titles),
        "order": row.order,
        "mean": _numbers(row.mean),
        "std": _numbers(row.std),
        "fed": _numbers(row.fed),
        "support": row.support if row.asked else None,
        "distance": _finite(row.distance),
        "interval": None if row.interval is None else [_finite(end) for end in row.interval],
        "score": _finite(row.score),
        "deep": _finite(row.deep),
        "by_layer": [_finite(value) for value in row.by_layer],
        "entropy": row.entropy,
        "most_probable": row.most_probable,
        "information": row.information,
        "mirror_agreement": row.mirror_agreement,
        "agreement": row.agreement,
        "top5_change": row.top5_change,
        "accuracy": row.accuracy,
        "top5": [[list(entry) for entry in photo] for photo in row.top5],
    }


def _numbers(values: Any) -> list[float | None]:
    return [_finite(float(value)) for value in values]


def _finite(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


def _fed(turned: bool) -> str:
    return "B, G, R" if turned else "R, G, B"


def _number(value: float) -> str:
    text = f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"
    return text.replace("-", "−")


def _all(values: np.ndarray) -> str:
    rounded = [_number(round(float(value), 6)) for value in values]
    return rounded[0] if len(set(rounded)) == 1 else ", ".join(rounded)
