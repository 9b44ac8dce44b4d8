"""Batch normalization that remembers: running averages, and batch renormalization.

What is remembered between batches is a value (:class:`RunningAverages`), never changed in place.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from normviz.errors import ParameterError, ShapeError
from normviz.methods.base import About, Source, parameter
from normviz.methods.features import (
    IOFFE,
    BatchNorm,
    FeatureNorm,
    checked_maps,
    listed,
    standardized,
)


@dataclass(frozen=True, eq=False)
class RunningAverages:
    """What batch normalization remembers: a mean and variance a channel, after some batches.

    >>> averages = RunningAverages.start(1).after(np.array([2.0, 4.0]).reshape(2, 1, 1, 1))
    >>> averages.mean.round(3), averages.variance.round(3), averages.batches
    (array([0.3]), array([1.1]), 1)
    """

    mean: np.ndarray
    variance: np.ndarray
    batches: int = 0

    def __post_init__(self) -> None:
        for name in ("mean", "variance"):
            value = np.array(getattr(self, name), np.float64)
            value.flags.writeable = False
            object.__setattr__(self, name, value)
        if self.mean.ndim != 1 or self.mean.shape != self.variance.shape:
            raise ShapeError(
                "expected one mean and one variance a channel, got shapes "
                f"{self.mean.shape} and {self.variance.shape}."
            )
        sound = np.isfinite(self.mean).all() and np.isfinite(self.variance).all()
        if not sound or (self.variance < 0).any():
            raise ParameterError("running means are finite, and running variances not negative.")

    @classmethod
    def start(cls, channels: int) -> RunningAverages:
        """Return what a new layer has: mean 0 and variance 1, in PyTorch as in Keras."""
        return cls(np.zeros(channels), np.ones(channels))

    @property
    def std(self) -> np.ndarray:
        return np.sqrt(self.variance)

    def after(
        self, batch: np.ndarray, momentum: float | None = 0.1, unbiased: bool = True
    ) -> RunningAverages:
        """Return the averages after one more batch ``(N, H, W, C)``: a ← (1 − m)·a + m·batch.

        ``momentum`` is the new batch's share, as in PyTorch (default 0.1); Keras's momentum is
        1 − that (its 0.99 is 0.01 here). None averages all batches alike. The variance put in is
        the unbiased one, n/(n − 1) times the batch's, as in PyTorch; Keras puts in the biased one
        (``unbiased=False``). Raises :class:`ShapeError` for one value a channel, which has no
        unbiased variance.
        """
        mean, variance, count = _batch_moments(_for(self, batch))
        if unbiased:
            if count == 1:
                raise ShapeError(
                    "one value a channel has no unbiased variance (PyTorch refuses it as well); "
                    "pass more samples or positions, or unbiased=False."
                )
            variance = variance * (count / (count - 1))
        if momentum is None:
            momentum = 1 / (self.batches + 1)
        elif not 0 <= momentum <= 1:
            raise ParameterError(f"momentum is a share from 0 to 1; got {momentum!r}.")
        return RunningAverages(
            (1 - momentum) * self.mean + momentum * mean,
            (1 - momentum) * self.variance + momentum * variance,
            self.batches + 1,
        )


def _batch_moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Mean, biased variance and count of values of each channel."""
    x = x.astype(np.float64)
    return x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2)), x[..., 0].size


def _for(averages: RunningAverages, x: np.ndarray) -> np.ndarray:
    x = checked_maps(x)
    if averages.mean.size != x.shape[3]:
        raise ShapeError(
            f"the running averages are of {averages.mean.size} channels, and the feature maps "
            f"have {x.shape[3]}."
        )
    return x


MODES = {"eval": "Eval: running averages", "train": "Train: this batch"}


@dataclass(frozen=True)
class _Remembering(FeatureNorm):
    """What both forms with running averages share: the mode, and the averages as an argument."""

    mode: str = parameter(
        "eval", "Mode", "Eval normalizes with the running averages; train as stated.", choices=MODES
    )

    @property
    def axes(self) -> tuple[str, ...]:
        return self.about.reduces if self.mode == "train" else ()

    def __call__(self, x: np.ndarray, averages: RunningAverages | None = None) -> np.ndarray:
        """Return the normalized maps; ``averages`` are a new layer's (mean 0, variance 1) if None.

        They stay as they are: :meth:`after` returns those to use next.
        """
        x = checked_maps(x)
        averages = averages or RunningAverages.start(x.shape[3])
        done = self.with_averages(_for(averages, x).astype(np.float64), averages)
        return done.astype(x.dtype)

    def definition(self, x: np.ndarray) -> np.ndarray:
        return self.with_averages(x, RunningAverages.start(x.shape[3]))

    def with_averages(self, x: np.ndarray, averages: RunningAverages) -> np.ndarray:
        """Return the normalized maps of float64 ``x``: by the averages, or as training does."""
        if self.mode == "train":
            return self.train(x, averages)
        return (x - averages.mean) / np.sqrt(averages.variance + self.epsilon)

    @abstractmethod
    def train(self, x: np.ndarray, averages: RunningAverages) -> np.ndarray:
        """Return what training makes of the batch ``x``."""

    @abstractmethod
    def after(self, averages: RunningAverages, x: np.ndarray) -> RunningAverages:
        """Return the averages after training on the batch ``x`` ``(N, H, W, C)``."""

    def code(self, target: str = "numpy", averages: RunningAverages | None = None) -> str:
        """Return code as :meth:`FeatureNorm.code` does, with the numbers of ``averages`` in it.

        None stands for a new layer of one channel, whose numbers serve any number of them.
        """
        text = super().code(target)
        averages = averages or RunningAverages.start(1)
        numbers = f"{listed('MEAN', averages.mean)}\n{listed('VARIANCE', averages.variance)}\n"
        return text.replace("# MEAN, VARIANCE\n", numbers)


_EVAL = {
    "numpy": """import numpy as np

# MEAN, VARIANCE
EPSILON = {epsilon!r}


# x: floats (N, H, W, C)
def normalize(x):
    y = (x - np.array(MEAN)) / np.sqrt(np.array(VARIANCE) + EPSILON)
    return y.astype(x.dtype)
""",
    "torchvision": """import torch
import torch.nn.functional as F

# MEAN, VARIANCE
EPSILON = {epsilon!r}


# x: float tensor (N, C, H, W)
def normalize(x):
    mean, variance = (torch.tensor(v).to(x).expand(x.shape[1]) for v in (MEAN, VARIANCE))
    return F.batch_norm(x, mean, variance, training=False, eps=EPSILON)
""",
    "keras": """from keras import ops

# MEAN, VARIANCE
EPSILON = {epsilon!r}


# x: float tensor (N, H, W, C)
def normalize(x):
    mean, variance = (
        ops.broadcast_to(ops.convert_to_tensor(v, x.dtype), x.shape[-1:]) for v in (MEAN, VARIANCE)
    )
    return ops.batch_normalization(x, mean, variance, axis=-1, epsilon=EPSILON)
""",
}


@dataclass(frozen=True)
class RunningBatchNorm(_Remembering):
    """Batch normalization with its memory: y = (x − m_c) / √(v_c + ε) in eval mode.

    m and v are exponential averages of the batches seen in training; train mode normalizes with
    the batch itself. ``momentum`` is the share of each new batch, as in PyTorch.

    >>> x = np.array([1.0, 3.0]).reshape(2, 1, 1, 1)
    >>> norm = RunningBatchNorm(momentum=1.0)
    >>> norm(x, norm.after(RunningAverages.start(1), x)).ravel().round(3)
    array([-0.707,  0.707])
    """

    key = "running_batch_norm"
    about = About(
        title="Batch normalization with running averages",
        short="running batch norm",
        scope="dataset",
        reduces=("N", "H", "W"),
        formula=(
            r"y_{nhwc} = \frac{x_{nhwc} - m_c}{\sqrt{v_c + \varepsilon}}, \quad"
            r" m \leftarrow (1-\alpha)\,m + \alpha\,\mu_B, \quad"
            r" v \leftarrow (1-\alpha)\,v + \alpha\,\tfrac{n}{n-1}\,\sigma_B^2"
        ),
        summary=(
            "In eval mode normalizes with averages of the batches seen in training, one fixed "
            "gain and offset a channel; in train mode with the batch itself. The two differ until "
            "the averages have settled, and again when the data change."
        ),
        sources=(
            IOFFE,
            Source(
                "PyTorch BatchNorm2d",
                "https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html",
            ),
        ),
        invariances=frozenset(),
        loses="nothing in eval mode: the averages bring the maps back",
        flat="becomes its distance to the running mean, in running stds",
        unit="running stds",
        nominal=(-3.0, 3.0),
        used_by="Every network with batch normalization, when it is used",
        libraries=(
            (
                "torch.nn.BatchNorm2d",
                "The same: momentum 0.1 is the new batch's share, and the variance kept is the "
                "unbiased one (n/(n − 1)) while the batch is divided by the biased one.",
            ),
            (
                "keras.layers.BatchNormalization",
                "Momentum 0.99 is the old share, 0.01 here: after 10 batches 90 % of the start "
                "(mean 0, variance 1) is left, in PyTorch 35 %; the biased variance is kept.",
            ),
            (
                "tf.raw_ops.FusedBatchNormV3",
                "Hands out the unbiased variance, as PyTorch keeps: of 8 values 14 % more than "
                "what Keras 3 keeps on TensorFlow.",
            ),
        ),
    )
    momentum: float = parameter(
        0.1, "Momentum", "Share of each new batch; Keras's momentum is 1 − this.", 0.0, 1.0, 0.01
    )
    variance: str = parameter(
        "unbiased",
        "Kept variance",
        "Which variance of a batch enters the average.",
        choices={"unbiased": "Unbiased (PyTorch)", "biased": "Biased (Keras)"},
    )

    def train(self, x: np.ndarray, averages: RunningAverages) -> np.ndarray:
        return standardized(x, (0, 1, 2), self.epsilon)

    def after(self, averages: RunningAverages, x: np.ndarray) -> RunningAverages:
        return averages.after(x, self.momentum, self.variance == "unbiased")

    def snippet(self, target: str) -> str:
        if self.mode == "train":
            return BatchNorm(epsilon=self.epsilon).snippet(target)
        return _EVAL[target].format(epsilon=self.epsilon)


@dataclass(frozen=True)
class BatchRenorm(_Remembering):
    """Batch normalization corrected towards its running averages: y = (x − μ_B)/σ_B · r + d.

    σ_B = √(σ²_B + ε), r = clip(σ_B/σ, 1/r_max, r_max), d = clip((μ_B − μ)/σ, −d_max, d_max), with
    μ and σ = √(v + ε) of the running averages. Unclipped, training gives what eval gives; with
    r_max = 1 and d_max = 0 it is batch normalization.

    >>> x = np.array([1.0, 3.0]).reshape(2, 1, 1, 1)
    >>> BatchRenorm()(x, RunningAverages(np.array([0.0]), np.array([4.0]))).ravel().round(3)
    array([0.5, 1.5])
    """

    key = "batch_renorm"
    about = About(
        title="Batch renormalization",
        short="batch renorm",
        scope="batch",
        reduces=("N", "H", "W"),
        formula=(
            r"y = \frac{x - \mu_B}{\sigma_B}\, r + d, \quad"
            r" r = \mathrm{clip}_{[1/r_{max},\, r_{max}]}\frac{\sigma_B}{\sigma}, \quad"
            r" d = \mathrm{clip}_{[-d_{max},\, d_{max}]}\frac{\mu_B - \mu}{\sigma}"
        ),
        summary=(
            "Normalizes with the batch, then moves the result towards what the running averages "
            "would give, within limits: training and use agree even for small batches."
        ),
        sources=(Source("Ioffe 2017 (batch renormalization)", "https://arxiv.org/abs/1702.03275"),),
        invariances=frozenset(),
        loses="what exceeds the limits: a batch far from the averages is drawn to them",
        flat="becomes d: its limited distance to the running mean",
        unit="running stds",
        nominal=(-3.0, 3.0),
        used_by="Training with small or uneven batches",
        libraries=(
            (
                "keras.layers.BatchNormalization(renorm=True)",
                "The same when renorm_clipping holds rmax, rmin = 1/rmax and dmax; by default it "
                "limits nothing.",
            ),
        ),
    )
    epsilon: float = parameter(
        1e-3, "ε", "Added to the variance before the root.", low=1e-12, high=0.1, step=1e-3
    )
    mode: str = parameter(
        "train",
        "Mode",
        "Eval normalizes with the running averages; train as stated.",
        choices=MODES,
    )
    r_max: float = parameter(
        3.0, "r_max", "Limit of the gain r; 1 leaves the batch's size alone.", 1.0, 100.0, 0.5
    )
    d_max: float = parameter(
        5.0, "d_max", "Limit of the offset d, in stds; 0 leaves the batch's mean.", 0.0, 100.0, 0.5
    )
    momentum: float = parameter(
        0.01, "Momentum", "Share of each new batch; Keras's momentum is 1 − this.", 0.0, 1.0, 0.01
    )

    @property
    def gain_along(self) -> tuple[str, ...] | None:
        # The running averages see every change, unless nothing of them is let in.
        alone = self.mode == "train" and self.r_max == 1 and self.d_max == 0
        return ("C",) if alone else None

    def train(self, x: np.ndarray, averages: RunningAverages) -> np.ndarray:
        mean, variance, _ = _batch_moments(x)
        std, running = (np.sqrt(v + self.epsilon) for v in (variance, averages.variance))
        r = np.clip(std / running, 1 / self.r_max, self.r_max)
        d = np.clip((mean - averages.mean) / running, -self.d_max, self.d_max)
        return (x - mean) / std * r + d

    def after(self, averages: RunningAverages, x: np.ndarray) -> RunningAverages:
        """Return the averages after ``x``; of σ = √(variance + ε), not of the variance."""
        mean, variance, _ = _batch_moments(_for(averages, x))
        std, running = (np.sqrt(v + self.epsilon) for v in (variance, averages.variance))
        std = (1 - self.momentum) * running + self.momentum * std
        return RunningAverages(
            (1 - self.momentum) * averages.mean + self.momentum * mean,
            np.maximum(std**2 - self.epsilon, 0),
            averages.batches + 1,
        )

    def snippet(self, target: str) -> str:
        if self.mode == "eval":
            return _EVAL[target].format(epsilon=self.epsilon)
        numbers = f"""# MEAN, VARIANCE
EPSILON = {self.epsilon!r}
R_MAX, D_MAX = {self.r_max!r}, {self.d_max!r}"""
        if target == "torchvision":
            return f"""import torch

{numbers}


# x: float tensor (N, C, H, W)
def normalize(x):
    running_mean, variance = (torch.tensor(v).to(x).view(-1, 1, 1) for v in (MEAN, VARIANCE))
    running_std = torch.sqrt(variance + EPSILON)
    variance, mean = torch.var_mean(x, dim=(0, 2, 3), keepdim=True, correction=0)
    std = torch.sqrt(variance + EPSILON)
    r = (std / running_std).clamp(1 / R_MAX, R_MAX)
    d = ((mean - running_mean) / running_std).clamp(-D_MAX, D_MAX)
    return (x - mean) / std * r + d
"""
        if target == "keras":
            return f"""from keras import ops

{numbers}


# x: float tensor (N, H, W, C)
def normalize(x):
    running_mean, variance = (ops.convert_to_tensor(v, x.dtype) for v in (MEAN, VARIANCE))
    running_std = ops.sqrt(variance + EPSILON)
    mean = ops.mean(x, axis=(0, 1, 2))
    std = ops.sqrt(ops.mean((x - mean) ** 2, axis=(0, 1, 2)) + EPSILON)
    r = ops.clip(std / running_std, 1 / R_MAX, R_MAX)
    d = ops.clip((mean - running_mean) / running_std, -D_MAX, D_MAX)
    return (x - mean) / std * r + d
"""
        return f"""import numpy as np

{numbers}


# x: floats (N, H, W, C)
def normalize(x):
    running_std = np.sqrt(np.array(VARIANCE) + EPSILON)
    mean = x.mean(axis=(0, 1, 2))
    std = np.sqrt(x.var(axis=(0, 1, 2)) + EPSILON)
    r = np.clip(std / running_std, 1 / R_MAX, R_MAX)
    d = np.clip((mean - np.array(MEAN)) / running_std, -D_MAX, D_MAX)
    return ((x - mean) / std * r + d).astype(x.dtype)
"""


@dataclass(frozen=True, eq=False)
class TrainEvalStep:
    """One batch in train and in eval mode; every array has one number a channel, ``(C,)``."""

    batch: int
    """Which batch, from 1."""
    samples: int
    batch_mean: np.ndarray
    batch_std: np.ndarray
    running_mean: np.ndarray
    """After this batch, as eval mode then uses it."""
    running_std: np.ndarray
    train_mean: np.ndarray
    """Mean of the batch's output in train mode: 0 up to rounding."""
    train_std: np.ndarray
    eval_mean: np.ndarray
    """Mean of the same batch's output in eval mode, with the averages after it."""
    eval_std: np.ndarray


def compare_train_eval(
    batches: Iterable[np.ndarray],
    momentum: float = 0.1,
    epsilon: float = 1e-5,
    unbiased: bool = True,
) -> Iterator[TrainEvalStep]:
    """Yield, batch by batch ``(N, H, W, C)``, what batch normalization does in train and eval mode.

    Starts with a new layer (mean 0, variance 1); ``momentum`` and ``unbiased`` are those of
    :meth:`RunningAverages.after`.

    >>> rng = np.random.default_rng(0)
    >>> steps = list(compare_train_eval(rng.normal(5, 2, (40, 8, 6, 6, 1))))
    >>> [step.eval_mean.round(1).item() for step in steps[::13]]
    [3.9, 0.8, 0.1, 0.1]
    """
    norm = RunningBatchNorm(
        momentum=momentum, epsilon=epsilon, variance="unbiased" if unbiased else "biased"
    )
    averages: RunningAverages | None = None
    for index, given in enumerate(batches, start=1):
        x = checked_maps(given).astype(np.float64)
        averages = norm.after(averages or RunningAverages.start(x.shape[3]), x)
        mean, variance, _ = _batch_moments(x)
        train, used = norm.train(x, averages), norm(x, averages)
        yield TrainEvalStep(
            batch=index,
            samples=x.shape[0],
            batch_mean=mean,
            batch_std=np.sqrt(variance),
            running_mean=averages.mean,
            running_std=averages.std,
            train_mean=train.mean(axis=(0, 1, 2)),
            train_std=train.std(axis=(0, 1, 2)),
            eval_mean=used.mean(axis=(0, 1, 2)),
            eval_std=used.std(axis=(0, 1, 2)),
        )
