"""Numbers of one mini-batch: what batch normalization sees of the dataset while training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from normviz.errors import NotFittedError
from normviz.methods.base import About, Method, Source, parameter
from normviz.statistics.dataset import DatasetStatistics
from normviz.statistics.image import ImageStatistics


@dataclass(frozen=True)
class BatchZScore(Method):
    """Mean and std of a random mini-batch, per channel: y = (u − μ_B) / √(σ²_B + ε).

    ``fit`` draws ``batch_size`` images from the statistics without replacement (all of them
    when there are fewer); the seed says which.

    >>> from normviz.images import image_of
    >>> from normviz.statistics import scanned as scan
    >>> stats = scan([image_of(np.full((2, 2), v, np.uint8)) for v in (10, 30)])
    >>> round(BatchZScore(batch_size=2).fit(stats)(np.array([[[50]]], np.uint8)).item(), 2)
    2.99
    """

    key = "batch_zscore"
    about = About(
        title="Batch statistics",
        short="batch mean, std",
        scope="batch",
        reduces=("N", "H", "W"),
        formula=r"y_c = \frac{x_c - \mu_{B,c}}{\sqrt{\sigma_{B,c}^2 + \varepsilon}}",
        summary=(
            "Standardizes with the mean and std of a random mini-batch drawn from the set: an "
            "estimate of the dataset's numbers that changes with every draw."
        ),
        sources=(
            Source(
                "Ioffe and Szegedy 2015 (batch normalization)", "https://arxiv.org/abs/1502.03167"
            ),
        ),
        invariances=frozenset(),
        loses="nothing once the batch's numbers are kept",
        flat="becomes its distance to the batch's mean, in batch stds",
        unit="batch stds",
        nominal=(0.0, 1.0),
        invertible=True,
        used_by="Batch normalization at the input, in training mode",
        libraries=(
            (
                "torch.nn.functional.batch_norm(training=True)",
                "The same: ε = 1e-5 is added to the variance, within the root.",
            ),
            (
                "keras.layers.BatchNormalization(training=True)",
                "ε = 1e-3 by default: of fractions with std 0.25 the result is 0.8 % smaller.",
            ),
        ),
    )
    batch_size: int = parameter(4, "Batch size", "Images in the mini-batch.", 1, 256, 1)
    seed: int = parameter(0, "Draw", "Seed of the draw: another number, another batch.", 0, 9999, 1)
    epsilon: float = parameter(
        1e-5, "ε", "Added to the variance (of fractions 0–1).", low=0.0, high=0.1, step=1e-5
    )

    def constants(self, numbers: DatasetStatistics | None) -> Mapping[str, np.ndarray]:
        if not isinstance(self.need(numbers), DatasetStatistics):
            raise NotFittedError(
                f"{self.about.title} draws images, and a preset holds none. Fit it on images."
            )
        assert numbers is not None
        channels = numbers.channels  # refuses an empty set
        rng = np.random.default_rng(self.seed)
        size = min(self.batch_size, numbers.images)
        drawn = np.sort(rng.choice(numbers.images, size=size, replace=False))
        rows = [numbers.rows[index] for index in drawn]
        spreads = [row.spread(channels) for row in rows]
        weights = np.array([[row.pixels] for row in rows], np.float64)
        weights /= weights.sum()
        means, variances = (np.array(values) for values in zip(*spreads, strict=True))
        mean = (weights * means).sum(axis=0)
        variance = (weights * (variances + (means - mean) ** 2)).sum(axis=0)
        return {"mean": mean, "std": np.sqrt(variance)}

    def definition(self, u: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return (u - constants["mean"]) / self._divisor(constants)

    def coefficients(
        self, constants: Mapping[str, np.ndarray], image: ImageStatistics | None
    ) -> tuple[np.ndarray, np.ndarray]:
        gain = 1 / self._divisor(constants)
        return gain, -constants["mean"] * gain

    def undo(self, y: np.ndarray, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return y * self._divisor(constants) + constants["mean"]

    def _divisor(self, constants: Mapping[str, np.ndarray]) -> np.ndarray:
        # A batch of flat images of one colour with ε = 0 would divide by zero.
        return np.maximum(np.sqrt(constants["std"] ** 2 + self.epsilon), 1e-7)
