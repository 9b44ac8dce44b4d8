"""Which preprocessing does this network expect? A generator of progress that ends in a verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from normviz.errors import ParameterError
from normviz.images import Image, as_rgb
from normviz.inspection.candidates import Candidate, Family, families, separation
from normviz.inspection.distance import counted, draws, layer_distance
from normviz.inspection.from_output import Answers, likelihood, posterior, terms_of
from normviz.inspection.in_graph import in_graph
from normviz.inspection.photos import Views, views_of
from normviz.inspection.recovered import Recovered, recover
from normviz.inspection.response import Pooled, measure_response
from normviz.inspection.through import Through, run_through
from normviz.inspection.verdict import SURE, TOLD_APART, Row, Verdict
from normviz.networks.graph import BatchNorm
from normviz.networks.network import Network
from normviz.networks.view import centre_view

MOST_PHOTOS = 64

MOST_PIXELS, MOST_BYTES = 1_500_000, 128 << 20
"""A network's input may have so many pixels, and the photos in its size take so many bytes: of a
large input fewer than MOST_PHOTOS are taken."""

FLAT = 0.01
"""An image whose std is below this, in fractions of the range, has no contrast."""

DRAWS = 200
RECOVERED_DRAWS = 60
TURNED = 8
"""So many of the best are fed in the other order of channels too, where only answers tell."""

EVEN = 0.55
"""Up to this share for BGR the two orders are as good as even: then RGB is assumed."""

CREDIBLE = 0.95
"""Without batch normalizations, candidates that share this much of the likelihood are left."""

CLOSE = 0.03
"""Up to this distance a published family explains the first normalization well enough."""

BETTER = 3.0
"""Beyond CLOSE it does so as long as recovered constants are not so many times closer."""

RESOLUTION = 0.25
"""Families less than so many stds of photos apart are not told apart by 16 photos: in
benchmarks/inspection.py the nearest presets are mixed up at 0.2 and hardly beyond."""

ORDER_FIT, ORDER_ANSWERS, ORDER_FLOOR, ORDER_MOST = 25.0, 1.5, 2e-4, 4.0
"""How RGB is told from BGR: the log-odds of one order are ORDER_FIT · ln of the other's distance
over its own, each under the constants recovered in that order (ORDER_FLOOR is added to both: below
it they are rounding; ORDER_MOST bounds it), plus ORDER_ANSWERS times those by the entropy of the
answers. Photos have their colours correlated in one way, red with green more than with blue, so
freely chosen constants fit better in the right order. Fitted to MobileNetV2 and EfficientNet-Lite0
under 120 random conventions and rounded down; benchmarks/results/inspection.json counts how it does
on others."""

MOST_ODDS = 6.0
"""How far the entropy of the answers is trusted on it, whatever its bootstrap says."""

MOST_FIRST = 3.0
"""The same of distances where no constants can be recovered."""

ALIKE = 1e-9
"""Scores that are all this close tell nothing."""

SHOWN = ("unit", "bytes", "half", "imagenet")
"""Families whose cost is always measured."""


@dataclass(frozen=True)
class Step:
    """How far the inspection is: ``done`` of ``total`` photos of a stage."""

    stage: str
    done: int
    total: int


def views_for(network: Network, images: Sequence[Image], usual: bool = True) -> Views:
    """Cut the middle of each image in the network's size, as fractions of its value range.

    Raises :class:`ParameterError` for no images, and for an input too large to be inspected.
    """
    if not images:
        raise ParameterError("An inspection needs at least one image, better 16.")
    entry, found = network.input, []
    pixels_each = entry.height * entry.width
    if pixels_each > MOST_PIXELS:
        raise ParameterError(
            f"{network.name}: its input of {entry.width:,} × {entry.height:,} px is larger than an "
            f"inspection keeps in memory (at most {MOST_PIXELS:,} px). Export it with a smaller "
            "input, or with one of any size."
        )
    room = max(1, MOST_BYTES // (4 * entry.channels * pixels_each))
    for image in images[: min(MOST_PHOTOS, room)]:
        rgb = as_rgb(image)
        low, high = rgb.value_range
        pixels = centre_view(rgb.pixels.astype(np.float32), entry.height, entry.width)
        fractions = (pixels - low) / (high - low)
        if entry.channels == 1:
            fractions = fractions.mean(axis=2, keepdims=True)
        found.append(fractions)
    if max(float(one.std()) for one in found) < FLAT:
        raise ParameterError(
            "The images are of one brightness each; an inspection needs natural photos, about 16."
        )
    return views_of(found, usual)


def inspect_network(
    network: Network,
    images: Sequence[Image],
    *,
    usual: bool = True,
    labels: Sequence[int | None] | None = None,
    costs: bool = True,
    seed: int = 0,
) -> Iterator[Step | Verdict]:
    """Yield :class:`Step` records while it works, and the :class:`Verdict` at the end.

    ``images`` are natural photos, about 16, without labels. With ``usual`` the set of photos is
    brought to the mean and std of photos at large; without it the images are taken as they are,
    which is right where they are like those of the training. ``labels`` are class numbers.
    Without ``costs`` only what the verdict needs goes through the whole network.

    Raises what :meth:`Network.run` raises.
    """
    if not network.layers:
        raise ParameterError(
            f"{network.name}: it has no layer with stored weights, so nothing in it was trained."
        )
    weights = network.layers[0].weights
    if weights is not None and not (np.isfinite(weights).all() and weights.any()):
        raise ParameterError(
            f"{network.name}: the weights of its first layer are all 0, or no finite numbers; "
            "export a trained network."
        )
    views = views_for(network, images, usual)
    work = _Inspection(network, views, labels, costs, seed)
    yield from work.steps()
    yield work.verdict()


def verdict_of(network: Network, images: Sequence[Image], **options: object) -> Verdict:
    """Run :func:`inspect_network` to its end."""
    *_, last = inspect_network(network, images, **options)  # type: ignore[arg-type]
    assert isinstance(last, Verdict)
    return last


def guesses_under(
    network: Network, images: Sequence[Image], at: int, row: Row, usual: bool = True
) -> tuple[tuple[str, float], ...]:
    """Return the five first classes of photo ``at`` with their shares, fed as a row says.

    Empty where the output is no row of classes.
    """
    candidate = Candidate.of(row.key, row.title, np.array(row.mean), np.array(row.std), row.order)
    exposed = views_for(network, images, usual).exposed()[at : at + 1]
    *_, found = run_through(network, candidate, exposed, ())
    if found is None or found.answers is None:
        return ()
    return _first_classes(network, found.answers.shares)[0]


def _first_classes(
    network: Network, shares: np.ndarray
) -> tuple[tuple[tuple[str, float], ...], ...]:
    """The five likeliest classes of each photo, by name where the network has names."""
    names = network.labels
    return tuple(
        tuple(
            (names[c] if c < len(names) else f"class {c}", float(row[c]))
            for c in np.argsort(-row, kind="stable")[:5].tolist()
        )
        for row in shares
    )


class _Inspection:
    def __init__(
        self,
        network: Network,
        views: Views,
        labels: Sequence[int | None] | None,
        costs: bool,
        seed: int,
    ) -> None:
        self.network, self.views, self.labels = network, views, labels
        self.costs, self.seed = costs, seed
        self.weights = draws(len(views), DRAWS, seed)
        self.families = self._possible()
        # One that stores nothing usable is as none.
        self.norms = tuple(norm for norm in network.batch_norms if counted(norm).any())
        self.pooled: dict[str, Pooled] = {}
        self.recovered: dict[str, Recovered] = {}
        self.fits: dict[str, float] = {}
        self.first: np.ndarray | None = None
        self.through: dict[str, Through] = {}
        self.evidence = "output"
        self.published = True

    def _possible(self) -> list[Family]:
        found = list(families(self.network.input.channels))
        if self.network.input.dtype == "uint8":
            # Whole numbers 0…255 are all that such an input takes.
            found = [family for family in found if family.key.startswith("bytes")]
            found = [f for f in found if not f.key.startswith("bytes_centred")]
        return found

    @property
    def orders(self) -> list[str]:
        return list(dict.fromkeys(family.head.order for family in self.families))

    def steps(self) -> Iterator[Step]:
        if self.norms:
            if self.network.input.dtype != "uint8":
                yield from self._respond()
            if not self.pooled:
                yield from self._first_by_runs()
            self._add_recovered()
        elif self.network.input.dtype != "uint8":
            yield from self._respond()
        yield from self._run_through()

    def _respond(self) -> Iterator[Step]:
        """Measure the first normalization's response, or that of a first convolution without."""
        layers = self.network.layers
        if self.norms:
            tap = self.norms[0].before
        elif layers and layers[0].operator == "Conv":
            tap = layers[0].tap
        else:
            return
        response = None
        for done, response in enumerate(measure_response(self.network, self.views, tap)):
            if response is None:
                yield Step("first layer", done + 1, len(self.views))
        if response is None:
            return
        for order in self.orders:
            self.pooled[order] = response.pooled(self.weights, order)
        if self.norms:
            self._measure_first(self.norms[0])

    def _measure_first(self, norm: BatchNorm) -> None:
        self.evidence = "first layer"
        # A family is as close as its closest member.
        self.first = np.stack(
            [
                np.min(
                    [self.pooled[one.order].distances(one, norm) for one in family.members], axis=0
                )
                for family in self.families
            ]
        )

    def _first_by_runs(self) -> Iterator[Step]:
        exposed, norm, found = self.views.exposed(), self.norms[0], []
        total = len(exposed) * len(self.families)
        for index, family in enumerate(self.families):
            for done, part in enumerate(
                run_through(self.network, family.head, exposed, (norm,), answers=False)
            ):
                if part is None:
                    yield Step("first layer", index * len(exposed) + done + 1, total)
                else:
                    found.append(layer_distance(norm, *part.moments[0].pooled(self.weights)))
        self.first = np.stack(found)
        self.evidence = "normalization"

    def _add_recovered(self) -> None:
        """Recover constants, and make them a candidate where no published ones come close."""
        norm = self.norms[0]
        for order, pooled in self.pooled.items():
            self.recovered[order] = recover(_some(pooled, 0), norm, self.seed)
        if not self.recovered or self.first is None:
            return
        own = {
            order: self.pooled[order].distances(found.candidate, norm)
            for order, found in self.recovered.items()
        }
        self.fits = {order: float(distances[0]) for order, distances in own.items()}
        best = float(self.first[:, 0].min())
        closest = min(self.fits.values())
        self.published = best <= CLOSE or best <= BETTER * closest
        if not self.published:
            for order, found in self.recovered.items():
                self.families.append(Family((found.candidate,)))
                self.first = np.concatenate([self.first, own[order][np.newaxis]])

    def _run_through(self) -> Iterator[Step]:
        if self.first is not None:
            yield from self._all_through(self._finalists(-self.first[:, 0]))
            yield from self._shown_in_order()
            return
        # Without normalizations every family is asked, the other order of channels for the best.
        some = [family for family in self.families if family.head.order != "BGR"]
        yield from self._all_through(some)
        best = np.argsort(-self._scores()[:, 0], kind="stable")[:TURNED]
        twins = [self._twin(self.families[index]) for index in best]
        yield from self._all_through([twin for twin in twins if twin is not None])
        finalists = self._finalists(self._scores()[:, 0])
        yield from self._all_through([one for one in finalists if one.key not in self.through])
        yield from self._all_through([f for f in finalists if self._answers(f)], mirrored=True)
        yield from self._shown_in_order()

    def _shown_in_order(self) -> Iterator[Step]:
        """What is always shown, in the order of channels that the verdict has."""
        scores = self._scores()
        if not self.costs or not np.isfinite(scores[:, 0]).any():
            return
        leader, _ = self._ordered(scores, self._support(scores))
        order = self.families[leader].head.order
        yield from self._all_through(
            [
                family
                for family in self.families
                if family.head.order == order
                and _named(family) & set(SHOWN)
                and family.key not in self.through
            ]
        )

    def _all_through(self, chosen: list[Family], mirrored: bool = False) -> Iterator[Step]:
        """Feed the photos, or with ``mirrored`` the mirror images of those that have been fed."""
        exposed = self.views.exposed()
        exposed = exposed[:, :, ::-1] if mirrored else exposed
        stage, total = "mirror images" if mirrored else "whole network", len(chosen) * len(exposed)
        for index, family in enumerate(chosen):
            for done, part in enumerate(
                run_through(self.network, family.head, exposed, self.norms)
            ):
                if part is None:
                    yield Step(stage, index * len(exposed) + done + 1, total)
                elif mirrored:
                    self.through[family.key] = self.through[family.key].beside(part)
                else:
                    self.through[family.key] = part

    def _finalists(self, scores: np.ndarray) -> list[Family]:
        """The best three, the best of each order with its twin, and those whose cost is always
        shown."""
        ranked = [self.families[i] for i in np.argsort(-scores, kind="stable")]
        chosen = {family.key: family for family in ranked[: 3 if self.costs else 1]}
        for order in self.orders:
            first = next(family for family in ranked if family.head.order == order)
            twin = self._twin(first)
            chosen |= {one.key: one for one in (first, twin) if one is not None}
        for family in self.families if self.costs else []:
            if family.head.order == ranked[0].head.order and _named(family) & set(SHOWN):
                chosen[family.key] = family
        return list(chosen.values())

    def _twin(self, family: Family) -> Family | None:
        """The family that feeds the same constants with the channels turned."""
        if family.head.order == "grey":
            return None
        if family.head.key == "recovered":
            return next(
                (f for f in self.families if f.head.key == "recovered" and f is not family), None
            )
        turned = family.head.turned()
        near = [(separation(f.head, turned), i) for i, f in enumerate(self.families)]
        return self.families[min(near)[1]]

    def verdict(self) -> Verdict:
        scores = self._scores()
        known = scores[np.isfinite(scores[:, 0]), 0]
        alike = self.first is not None and len(known) > 2 and np.ptp(known) < ALIKE
        if not len(known) or alike:
            raise ParameterError(f"{self.network.name}: {self._why_nothing_tells()}")
        support = self._support(scores)
        leader, order_support = self._ordered(scores, support)
        best = self.families[leader]
        twin = self._twin(best)
        together = support[leader]
        if self.first is None and twin is not None:
            together += support[self.families.index(twin)]
        rows = self._rows(scores, support, best)
        order = None
        # What answers alone say of the order is worth no more than what they say of the constants.
        certain = self.first is not None or together >= SURE
        if best.head.order != "grey" and order_support >= TOLD_APART and certain:
            order = best.head.order
        left = self._left(leader, scores, support)
        rank = self._rank(scores, support)
        rivals = tuple(
            self.families[i].key
            for i in np.argsort(-rank, kind="stable")
            if self.families[i] is not best
            and self.families[i] is not twin
            and order in (None, self.families[i].head.order)
            and (left[i] or self._near(self.families[i], best))
        )
        recovered = None
        if self.norms and best.head.order in self.pooled:
            pooled = _some(self.pooled[best.head.order], RECOVERED_DRAWS)
            recovered = recover(pooled, self.norms[0], self.seed)
        entry = self.network.input
        return Verdict(
            model=self.network.name,
            input=entry.words(),
            layout=entry.layout,
            size=(entry.height, entry.width),
            photos=len(self.views),
            usual=self.views.usual,
            evidence=self.evidence,
            candidate=best.head,
            key=best.key,
            titles=best.titles,
            support=float(support[leader]),
            order=order,
            order_support=order_support,
            published=self.published,
            rivals=rivals,
            recovered=recovered,
            in_graph=in_graph(self.network.graph, entry),
            left_out=int((~counted(self.norms[0])).sum()) if self.norms else 0,
            rows=rows,
            spoke=tuple(
                name
                for name, known in (
                    ("answers", self._any_answers()),
                    ("first filters", bool(self.pooled)),
                )
                if known and self.first is None
            ),
            filters=int(counted(self.norms[0]).sum()) if self.norms else 0,
            dtype=entry.dtype,
        )

    def _why_nothing_tells(self) -> str:
        norms = self.network.batch_norms
        inside = in_graph(self.network.graph, self.network.input)
        if inside.changes and not np.any(inside.gain):
            return f"nothing tells what it expects. {inside.words()}"
        if norms and not self.norms:
            return (
                "nothing tells what it expects. The means and variances that its batch "
                "normalizations store are no possible ones (negative, not finite, or never "
                "trained), and its answers do not tell candidates apart."
            )
        if not norms:
            return (
                "nothing tells what it expects. It stores no batch normalization apart, and "
                "neither its answers nor its first layer tell candidates apart: the output is no "
                "row of finite numbers for classes, or the first layer no plain convolution."
            )
        return "nothing tells what it expects: all candidates fit its statistics equally well."

    def _answers(self, family: Family) -> Answers | None:
        through = self.through.get(family.key)
        return None if through is None else through.answers

    def _near(self, family: Family, best: Family) -> bool:
        return any(separation(member, best.head) < RESOLUTION for member in family.members)

    def _scores(self) -> np.ndarray:
        """What is ranked by, a row a family, the larger the better ``(families, 1 + draws)``."""
        if self.first is not None:
            return -np.nan_to_num(self.first, nan=np.inf)
        found = []
        for family in self.families:
            answers, pooled = self._answers(family), self.pooled.get(family.head.order)
            lost = np.full(len(self.weights), -np.inf)
            if answers is not None or (pooled is not None and not self._any_answers()):
                lost = likelihood(terms_of(answers, pooled, family.head, self.weights))
            found.append(lost)
        return np.stack(found)

    def _any_answers(self) -> bool:
        return any(through.answers is not None for through in self.through.values())

    def _rank(self, scores: np.ndarray, support: np.ndarray) -> np.ndarray:
        """What families are ordered by: how close they are; without batch normalizations their mean
        shares of the likelihood, which is what is shown."""
        return support if self.first is None else scores[:, 0]

    def _support(self, scores: np.ndarray) -> np.ndarray:
        """The share of draws in which a family ranks first among those of its order; without batch
        normalizations its mean share of the likelihood over the draws."""
        if self.first is None:
            return np.asarray(posterior(scores[:, 1:]).mean(axis=1))
        support = np.zeros(len(self.families))
        for order in self.orders:
            places = np.array([i for i, f in enumerate(self.families) if f.head.order == order])
            ranks_first = places[np.argmax(scores[places, 1:], axis=0)]
            support += np.bincount(ranks_first, minlength=len(support)) / len(ranks_first)
        return support

    def _left(self, leader: int, scores: np.ndarray, support: np.ndarray) -> np.ndarray:
        """Which families are not ruled out ``(families,)``: those at least as good as the leader in
        one of twenty draws; without batch normalizations the most likely ones that share
        :data:`CREDIBLE` of the likelihood."""
        if self.first is not None:
            return (scores[:, 1:] >= scores[leader, 1:]).mean(axis=1) >= 0.05
        order = np.argsort(-support, kind="stable")
        before = np.cumsum(support[order]) - support[order]
        left = np.zeros(len(support), bool)
        left[order] = before < CREDIBLE
        return left

    def _ordered(self, scores: np.ndarray, support: np.ndarray) -> tuple[int, float]:
        """Choose the order of channels and the best family in it; say how likely that order is."""
        places = list(range(len(self.families)))
        if not self.published:
            places = [i for i in places if self.families[i].head.key == "recovered"]
        rank = self._rank(scores, support)
        leader = max(places, key=lambda i: rank[i])
        own = self.families[leader].head.order
        others = [i for i in places if self.families[i].head.order not in (own, "grey")]
        if own == "grey" or not others:
            return leader, 1.0
        # Without batch normalizations a leader's twin has the same first filters, turned.
        twin = self._twin(self.families[leader])
        if self.first is None and twin is not None:
            other = self.families.index(twin)
            both = support[leader] + support[other]
            share = float(support[leader] / both) if both else 0.5
            if own == "BGR" and share < EVEN:
                return other, 1 - share
            return leader, share
        other = max(others, key=lambda i: scores[i, 0])
        odds = self._order_odds(leader, other, scores)
        share = 1 / (1 + np.exp(-odds))
        return (leader, float(share)) if odds >= 0 else (other, float(1 - share))

    def _order_odds(self, leader: int, other: int, scores: np.ndarray) -> float:
        """Log-odds that the leader's order is right rather than the other's."""
        ours, theirs = (self.families[i].head.order for i in (leader, other))
        answers = 0.0
        one, two = (self._answers(self.families[i]) for i in (leader, other))
        if one is not None and two is not None:
            answers = _log_odds(two.entropy(self.weights) - one.entropy(self.weights), MOST_ODDS)
        if not self.views.coloured:
            return answers
        if ours not in self.fits or not self.recovered[ours].told:
            return _log_odds(scores[leader] - scores[other], MOST_FIRST) + answers
        fit = np.log((self.fits[theirs] + ORDER_FLOOR) / (self.fits[ours] + ORDER_FLOOR))
        return float(np.clip(ORDER_FIT * fit, -ORDER_MOST, ORDER_MOST) + ORDER_ANSWERS * answers)

    def _rows(self, scores: np.ndarray, support: np.ndarray, best: Family) -> tuple[Row, ...]:
        own = self.through.get(best.key)
        rows = []
        rank = self._rank(scores, support)
        for index in np.argsort(-rank, kind="stable"):
            rows.append(self._row(int(index), scores, support, own))
        return tuple(rows)

    def _row(self, index: int, scores: np.ndarray, support: np.ndarray, own: Through | None) -> Row:
        family, all_once = self.families[index], self.weights[:1]
        known: dict[str, object] = {}
        if self.first is not None:
            low, high = np.percentile(self.first[index, 1:], [2.5, 97.5])
            known |= {"distance": float(self.first[index, 0]), "interval": (low, high)}
        else:
            if np.isfinite(scores[index, 0]):
                # In nats, below the most likely one: of the mean shares, by which rows are ranked.
                share = float(support[index] / support.max())
                known["score"] = float(np.log(share)) if share else -np.inf
                low, high = np.percentile(posterior(scores[:, 1:])[index], [2.5, 97.5])
                known["interval"] = (float(low), float(high))
        found = self.through.get(family.key)
        if found is not None:
            by_layer = found.layers(all_once)[0]
            if by_layer.size:
                known |= {
                    "deep": float(np.nanmedian(by_layer)),
                    "by_layer": tuple(by_layer.tolist()),
                }
            if found.answers is not None:
                known |= self._said(found, own)
        return Row(
            key=family.key,
            titles=family.titles,
            order=family.head.order,
            mean=tuple(family.head.mean.tolist()),
            std=tuple(family.head.std.tolist()),
            fed=family.head.range,
            support=float(support[index]),
            **known,  # type: ignore[arg-type]
        )

    def _said(self, found: Through, own: Through | None) -> dict[str, object]:
        answers, all_once = found.answers, self.weights[:1]
        assert answers is not None
        top = np.argsort(-answers.shares, axis=1, kind="stable")[:, :5]
        known: dict[str, object] = {
            "entropy": float(answers.entropy(all_once)[0]),
            "most_probable": float(answers.most_probable(all_once)[0]),
            "information": float(answers.information(all_once)[0]),
            "top5": _first_classes(self.network, answers.shares),
        }
        mirrored = answers.agreement(all_once)
        if mirrored is not None:
            known["mirror_agreement"] = float(mirrored[0])
        if own is not None and own.answers is not None:
            right = np.argsort(-own.answers.shares, axis=1, kind="stable")[:, :5]
            known["agreement"] = float((top[:, 0] == right[:, 0]).mean())
            kept = [
                len(set(a) & set(b)) / len(a)
                for a, b in zip(right.tolist(), top.tolist(), strict=True)
            ]
            known["top5_change"] = float(1 - np.mean(kept))
        if self.labels is not None:
            hits = [
                label == first
                for label, first in zip(self.labels, top[:, 0].tolist(), strict=False)
                if label is not None
            ]
            if hits:
                known["accuracy"] = float(np.mean(hits))
        return known


def _some(pooled: Pooled, count: int) -> Pooled:
    rows = slice(0, 1 + count)
    return Pooled(
        pooled.order,
        pooled.products[rows],
        pooled.centre[rows],
        pooled.plain[rows],
    )


def _named(family: Family) -> set[str]:
    return {member.key for member in family.members}


def _log_odds(gained: np.ndarray, most: float) -> float:
    """Log-odds that more is gained than nothing, over the draws (the first entry is all photos)."""
    better = float((gained[1:] > 0).sum()) + 0.5 * float((gained[1:] == 0).sum())
    found = (better + 1) / (len(gained) - 1 - better + 1)
    return float(np.log(np.clip(found, 1 / most, most)))
