"""Normalizations of feature maps against loops, hand-worked numbers, PyTorch and Keras."""

from __future__ import annotations

import ast
import dataclasses
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import normviz as nv
from normviz.errors import ParameterError, ShapeError
from normviz.methods.features import AXES, FEATURE_TARGETS
from normviz.methods.running import RunningAverages, compare_train_eval

os.environ.setdefault("KERAS_BACKEND", "torch")

KEYS = list(nv.FEATURE_NORMS)
# Every choice that changes what is reduced over, with channels it can have.
FORMS = [
    ("batch_norm", {}),
    ("layer_norm", {"over": "hwc"}),
    ("layer_norm", {"over": "c"}),
    ("instance_norm", {}),
    ("group_norm", {"groups": 3}),
    ("rms_norm", {"over": "c"}),
    ("rms_norm", {"over": "hwc"}),
    ("positional_norm", {}),
    ("running_batch_norm", {"mode": "train"}),
    ("running_batch_norm", {"mode": "eval"}),
    ("batch_renorm", {"mode": "train"}),
    ("batch_renorm", {"mode": "eval"}),
]


def maps(samples=3, height=4, width=5, channels=6, seed=0) -> np.ndarray:
    """Feature maps whose channels, samples and positions differ in mean and size."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(samples, height, width, channels))
    x *= rng.uniform(0.5, 3, (samples, 1, 1, channels))
    return x + rng.normal(0, 2, (samples, 1, 1, channels)) + rng.normal(size=(1, height, width, 1))


def make(key, **parameters):
    if key == "group_norm":
        parameters = {"groups": 3, **parameters}
    return nv.FEATURE_NORMS[key](**parameters)


def settled() -> RunningAverages:
    return RunningAverages(np.linspace(-1, 2, 6), np.linspace(0.3, 4, 6), 7)


# Formulas, by loops -------------------------------------------------------------------------------

# For one output value (n, h, w, c): the index of the values that share its mean and variance.
SHARED = {
    "batch_norm": lambda n, h, w, c: np.s_[:, :, :, c],
    "layer_norm": lambda n, h, w, c: np.s_[n],
    "instance_norm": lambda n, h, w, c: np.s_[n, :, :, c],
    "group_norm": lambda n, h, w, c: np.s_[n, :, :, c // 2 * 2 : c // 2 * 2 + 2],
    "positional_norm": lambda n, h, w, c: np.s_[n, h, w],
}


@pytest.mark.parametrize("key", SHARED)
@pytest.mark.parametrize("epsilon", [1e-5, 0.1])
def test_each_value_is_standardized_with_those_it_shares_with(key, epsilon):
    x = maps()
    expected = np.empty_like(x)
    for index in np.ndindex(x.shape):
        shared = x[SHARED[key](*index)].ravel()
        mean = sum(shared) / len(shared)
        variance = sum((value - mean) ** 2 for value in shared) / len(shared)
        expected[index] = (x[index] - mean) / np.sqrt(variance + epsilon)
    np.testing.assert_allclose(make(key, epsilon=epsilon)(x), expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    ("over", "shared"), [("c", lambda n, h, w: np.s_[n, h, w]), ("hwc", lambda n, h, w: np.s_[n])]
)
def test_rms_is_the_root_of_the_mean_square(over, shared):
    x = maps()
    expected = np.empty_like(x)
    for index in np.ndindex(x.shape):
        values = x[shared(*index[:3])].ravel()
        mean_square = sum(value * value for value in values) / len(values)
        expected[index] = x[index] / np.sqrt(mean_square + 1e-6)
    np.testing.assert_allclose(make("rms_norm", over=over)(x), expected, rtol=1e-12)


def test_layer_norm_over_channels_is_positional_norm():
    x = maps()
    np.testing.assert_array_equal(make("layer_norm", over="c")(x), make("positional_norm")(x))
    assert np.abs(make("layer_norm", over="c")(x) - make("layer_norm")(x)).max() > 0.1


def test_limits_of_group_and_batch_norm():
    x = maps()
    each = nv.FEATURE_NORMS["group_norm"](groups=6)(x)
    np.testing.assert_allclose(each, make("instance_norm")(x), rtol=1e-12, atol=1e-13)
    one = nv.FEATURE_NORMS["group_norm"](groups=1)(x)
    np.testing.assert_allclose(one, make("layer_norm")(x), rtol=1e-12, atol=1e-13)
    single = make("batch_norm")(x[:1])
    np.testing.assert_allclose(single, make("instance_norm")(x[:1]), rtol=1e-12, atol=1e-13)


def test_groups_that_do_not_divide_are_refused_with_those_that_do():
    with pytest.raises(
        ParameterError, match="8 groups do not divide 12 channels; take one of 1, 2, 3, 4, 6, 12"
    ):
        nv.FEATURE_NORMS["group_norm"]()(maps(channels=12))


# The contract ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("key", "parameters"), FORMS)
def test_shape_type_and_untouched_read_only_input(key, parameters, dtype):
    x = maps().astype(dtype)
    before = x.copy()
    x.flags.writeable = False
    done = make(key, **parameters)(x)
    assert done.shape == x.shape and done.dtype == dtype
    np.testing.assert_array_equal(x, before)
    exact = make(key, **parameters)(x.astype(np.float64))
    np.testing.assert_allclose(done, exact, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("channels", [1, 3, 12, 64])
@pytest.mark.parametrize("key", KEYS)
def test_any_number_of_channels(key, channels):
    x = maps(2, 3, 5, channels)
    parameters = {"groups": 1} if key == "group_norm" else {}
    assert np.isfinite(nv.FEATURE_NORMS[key](**parameters)(x)).all()


@pytest.mark.parametrize(("key", "parameters"), FORMS)
def test_flat_maps_stay_finite_and_become_what_is_said(key, parameters):
    norm = make(key, **parameters)
    for value in (0.0, -7.5, 1e6):
        done = norm(np.full((2, 3, 4, 6), value))
        assert np.isfinite(done).all()
        if key == "rms_norm":
            np.testing.assert_allclose(done, np.sign(value), rtol=1e-6)
        elif norm.axes and key != "batch_renorm":
            np.testing.assert_allclose(done, 0, atol=1e-6)
    assert norm(np.full((1, 1, 1, 6), 3.0)).shape == (1, 1, 1, 6)


@pytest.mark.parametrize("key", KEYS)
def test_wrong_input_is_named(key):
    norm = make(key)
    for shape in ((4, 5, 6), (0, 4, 5, 6), (2, 4, 5, 0)):
        with pytest.raises(ShapeError, match="feature maps"):
            norm(np.zeros(shape))
    with pytest.raises(ShapeError, match="floats, got uint8"):
        norm(np.zeros((1, 2, 3, 6), np.uint8))
    bad = maps()
    bad[1, 2, 3, 4] = np.nan
    with pytest.raises(ShapeError, match=r"NaN or infinity, first at \(1, 2, 3, 4\)"):
        norm(bad)


@pytest.mark.parametrize("key", KEYS)
def test_parameters_outside_their_bounds_are_named(key):
    kind = nv.FEATURE_NORMS[key]
    for field in dataclasses.fields(kind):
        facts = field.metadata
        wrong = ["nonsense", None, True]
        if facts["choices"] is None:
            wrong += [facts["low"] - 1, facts["high"] + 1, float("nan")]
            assert facts["low"] <= field.default <= facts["high"]
            good = [facts["low"], facts["high"]]
        else:
            assert field.default in facts["choices"]
            good = list(facts["choices"])
        for value in wrong:
            with pytest.raises(ParameterError, match=facts["label"]):
                kind(**{field.name: value})
        for value in good:
            norm = kind(**{field.name: value})
            assert np.isfinite(norm(maps(channels=1024, height=1, width=2))).all()
        assert facts["label"] and facts["help"]


@pytest.mark.parametrize("key", KEYS)
def test_the_about_block_is_whole(key):
    kind = nv.FEATURE_NORMS[key]
    about = kind.about
    assert kind.key == key and kind.__doc__ and ">>>" in kind.__doc__
    for text in (about.title, about.short, about.formula, about.summary, about.loses, about.flat):
        assert text.strip()
    assert about.unit and about.sources and about.libraries and about.used_by
    assert len(about.short) <= 24 and about.nominal[0] < about.nominal[1]
    assert set(about.reduces) <= set(AXES) and about.reduces
    shorts = [kind.about.short for kind in (*nv.FEATURE_NORMS.values(), *nv.METHODS.values())]
    assert len(set(shorts)) == len(shorts)
    assert not set(nv.FEATURE_NORMS) & set(nv.METHODS)


# What each does not see, and what it does --------------------------------------------------------

EXACT = 1e-12  # ε: any larger one sees gains, a little


def differing(along: tuple[str, ...], shape, seed: int, low: float, high: float) -> np.ndarray:
    """Random numbers that differ along the named axes only."""
    size = [length if axis in along else 1 for axis, length in zip(AXES, shape, strict=True)]
    return np.random.default_rng(seed).uniform(low, high, size)


# Axes reduced over, and then: along the others a gain (an offset) may differ.
REDUCED = {
    ("batch_norm", ""): "NHW",
    ("layer_norm", "hwc"): "HWC",
    ("layer_norm", "c"): "C",
    ("instance_norm", ""): "HW",
    ("group_norm", ""): "HWC",
    ("rms_norm", "c"): "C",
    ("rms_norm", "hwc"): "HWC",
    ("positional_norm", ""): "C",
    ("running_batch_norm", "train"): "NHW",
    ("running_batch_norm", "eval"): "",
    ("batch_renorm", "train"): "NHW",
    ("batch_renorm", "eval"): "",
}


def form(key: str, choice: str, **more):
    name = "mode" if choice in ("train", "eval") else "over"
    return make(key, **({name: choice} if choice else {}), **more)


@pytest.mark.parametrize(("key", "choice"), REDUCED)
def test_axes_say_what_is_reduced(key, choice):
    norm = form(key, choice)
    reduced = REDUCED[key, choice]
    assert norm.axes == tuple(reduced)
    rest = tuple(axis for axis in AXES if axis not in reduced)
    sees_all = not reduced or key == "batch_renorm"
    assert norm.gain_along == (None if sees_all else rest)
    assert norm.offset_along == (None if sees_all or key == "rms_norm" else rest)
    assert (norm.centres is False) == (key == "rms_norm")


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(REDUCED)), st.integers(0, 10_000))
def test_gains_and_offsets_along_the_other_axes_are_not_seen(which, seed):
    norm, x = form(*which, epsilon=EXACT), maps(seed=seed)
    base = norm(x)
    if norm.gain_along is not None:
        gain = differing(norm.gain_along, x.shape, seed, 0.2, 5)
        np.testing.assert_allclose(norm(gain * x), base, rtol=1e-6, atol=1e-7)
    if norm.offset_along is not None:
        offset = differing(norm.offset_along, x.shape, seed, -5, 5)
        np.testing.assert_allclose(norm(x + offset), base, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("key", "choice"), REDUCED)
def test_gains_and_offsets_along_a_reduced_axis_are_seen(key, choice):
    norm, x = form(key, choice), maps()
    base = norm(x)
    for axis in AXES:
        gain, offset = (differing((axis,), x.shape, 3, *ends) for ends in ((0.3, 3), (-3, 3)))
        seen = np.abs(norm(gain * x) - base).max() > 1e-2
        assert seen == (norm.gain_along is None or axis not in norm.gain_along), axis
        seen = np.abs(norm(x + offset) - base).max() > 1e-2
        assert seen == (norm.offset_along is None or axis not in norm.offset_along), axis


def test_groups_of_channels_may_differ_in_gain_and_offset_and_no_finer():
    norm, x = make("group_norm", epsilon=EXACT), maps()
    of_groups = np.repeat([0.5, 2.0, 3.0], 2)
    np.testing.assert_allclose(norm(of_groups * x + of_groups), norm(x), rtol=1e-6, atol=1e-6)
    assert np.abs(norm(np.roll(of_groups, 1) * x) - norm(x)).max() > 0.1


@pytest.mark.parametrize(("key", "choice"), REDUCED)
def test_the_metadata_promise_no_more_than_the_axes_give(key, choice):
    norm = form(key, choice)
    if type(norm)().axes != norm.axes:
        return  # metadata are of the default choice
    has = norm.gain_along is not None
    channel = has and "C" in norm.gain_along
    expected = {"gain": has, "channel_gain": channel}
    expected |= {"offset": has and norm.centres, "channel_offset": channel and norm.centres}
    assert norm.about.invariances == {name for name, holds in expected.items() if holds}


def test_what_is_not_seen_is_said():
    said = {which: form(*which).unseen for which in REDUCED}
    both = "a gain and an offset of each "
    above = ", the gain only where the variance is far above ε"
    size = ", only where the mean square is far above ε"
    assert said == {
        ("batch_norm", ""): both + "channel" + above,
        ("layer_norm", "hwc"): both + "image" + above,
        ("layer_norm", "c"): both + "position of each image" + above,
        ("instance_norm", ""): both + "channel of each image" + above,
        ("group_norm", ""): both + "group of channels of each image" + above,
        ("rms_norm", "c"): "a gain of each position of each image" + size,
        ("rms_norm", "hwc"): "a gain of each image" + size,
        ("positional_norm", ""): both + "position of each image" + above,
        ("running_batch_norm", "train"): both + "channel" + above,
        ("running_batch_norm", "eval"): "",
        ("batch_renorm", "train"): "",
        ("batch_renorm", "eval"): "",
    }


@pytest.mark.parametrize(("key", "choice"), REDUCED)
def test_epsilon_sees_a_small_gain(key, choice):
    norm, x = form(key, choice, epsilon=0.01), maps()
    assert np.abs(norm(0.05 * x) - norm(x)).max() > 1e-2


@pytest.mark.parametrize(("key", "choice"), REDUCED)
def test_other_samples_matter_only_where_n_is_reduced(key, choice):
    norm, x = form(key, choice), maps()
    alone = np.concatenate([norm(x[n : n + 1]) for n in range(len(x))])
    if "N" in norm.axes and key != "batch_renorm":
        assert np.abs(alone - norm(x)).max() > 0.1
    elif "N" not in norm.axes:
        np.testing.assert_allclose(alone, norm(x), rtol=1e-12, atol=1e-12)
    order = [2, 0, 1]
    np.testing.assert_allclose(norm(x[order]), norm(x)[order], rtol=1e-9, atol=1e-12)


def test_batch_renorm_sees_the_batch_where_it_is_limited():
    x = maps()
    limited = make("batch_renorm", r_max=1.2, d_max=0.1)
    alone = np.concatenate([limited(x[n : n + 1], settled()) for n in range(len(x))])
    assert np.abs(alone - limited(x, settled())).max() > 0.1


@pytest.mark.parametrize(("key", "choice"), REDUCED)
def test_positions_may_change_places(key, choice):
    norm, x = form(key, choice), maps()
    order = np.random.default_rng(1).permutation(20)
    moved = x.reshape(3, 20, 6)[:, order].reshape(x.shape)
    expected = norm(x).reshape(3, 20, 6)[:, order].reshape(x.shape)
    np.testing.assert_allclose(norm(moved), expected, rtol=1e-9, atol=1e-12)


# Running averages --------------------------------------------------------------------------------


def test_running_averages_by_hand():
    start = RunningAverages.start(2)
    np.testing.assert_array_equal(start.mean, [0, 0])
    np.testing.assert_array_equal(start.variance, [1, 1])
    batch = np.array([[1.0, 10.0], [3.0, 10.0]]).reshape(2, 1, 1, 2)  # means 2, 10; variances 1, 0
    torch_like = start.after(batch, 0.1)
    np.testing.assert_allclose(torch_like.mean, [0.2, 1.0])
    np.testing.assert_allclose(torch_like.variance, [0.9 + 0.1 * 2, 0.9])  # n/(n − 1) = 2
    keras_like = start.after(batch, 1 - 0.99, unbiased=False)
    np.testing.assert_allclose(keras_like.mean, [0.02, 0.1])
    np.testing.assert_allclose(keras_like.variance, [0.99 + 0.01, 0.99])
    assert (start.batches, torch_like.batches, torch_like.after(batch).batches) == (0, 1, 2)
    np.testing.assert_allclose(torch_like.std**2, torch_like.variance)


def test_momentum_none_is_the_plain_average():
    batches = [maps(seed=seed) for seed in range(5)]
    averages = RunningAverages.start(6)
    for batch in batches:
        averages = averages.after(batch, None, unbiased=False)
    np.testing.assert_allclose(averages.mean, np.mean([b.mean((0, 1, 2)) for b in batches], axis=0))
    np.testing.assert_allclose(
        averages.variance, np.mean([b.var((0, 1, 2)) for b in batches], axis=0)
    )


def test_running_averages_change_nothing_in_place():
    given_mean = np.zeros(6)
    averages = RunningAverages(given_mean, np.ones(6))
    x = maps()
    before = x.copy()
    after = averages.after(x)
    given_mean[0] = 99
    np.testing.assert_array_equal(averages.mean, 0)
    np.testing.assert_array_equal(x, before)
    assert after is not averages and averages.batches == 0
    for array in (averages.mean, after.variance):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_running_averages_refuse_what_they_cannot_be():
    one = np.zeros((1, 1, 1, 2))
    start = RunningAverages.start(2)
    with pytest.raises(ShapeError, match="one value a channel has no unbiased variance"):
        start.after(one)
    np.testing.assert_allclose(start.after(one, unbiased=False).variance, 0.9)
    with pytest.raises(ShapeError, match="are of 2 channels, and the feature maps have 6"):
        start.after(maps())
    with pytest.raises(ShapeError, match="are of 2 channels, and the feature maps have 6"):
        make("running_batch_norm")(maps(), start)
    with pytest.raises(ParameterError, match=r"share from 0 to 1; got 1\.5"):
        start.after(one, 1.5, unbiased=False)
    with pytest.raises(ShapeError, match="one mean and one variance a channel"):
        RunningAverages(np.zeros(2), np.zeros(3))
    for variance in (-1.0, np.nan):
        with pytest.raises(ParameterError, match="running variances not negative"):
            RunningAverages(np.zeros(1), np.array([variance]))


def test_running_batch_norm_in_both_modes():
    x, averages = maps(), settled()
    used = make("running_batch_norm", epsilon=1e-3)(x, averages)
    np.testing.assert_allclose(used, (x - averages.mean) / np.sqrt(averages.variance + 1e-3))
    train = make("running_batch_norm", mode="train")
    np.testing.assert_array_equal(train(x, averages), make("batch_norm")(x))
    fresh = make("running_batch_norm")(x)  # a layer that was never trained
    np.testing.assert_allclose(fresh, x / np.sqrt(1 + 1e-5))
    unbiased = make("running_batch_norm", momentum=0.5).after(averages, x)
    biased = make("running_batch_norm", momentum=0.5, variance="biased").after(averages, x)
    np.testing.assert_allclose(unbiased.mean, (averages.mean + x.mean((0, 1, 2))) / 2)
    np.testing.assert_allclose(biased.variance, (averages.variance + x.var((0, 1, 2))) / 2)
    np.testing.assert_allclose(
        unbiased.variance, (averages.variance + x.var((0, 1, 2), ddof=1)) / 2
    )


def test_train_and_eval_side_by_side():
    batches = [maps(samples=2 + seed % 3, seed=seed) for seed in range(30)]
    steps = list(compare_train_eval(batches, momentum=0.2, epsilon=1e-3))
    averages = RunningAverages.start(6)
    for index, (step, x) in enumerate(zip(steps, batches, strict=True), start=1):
        averages = averages.after(x, 0.2)
        assert (step.batch, step.samples) == (index, len(x))
        np.testing.assert_allclose(step.batch_mean, x.mean((0, 1, 2)))
        np.testing.assert_allclose(step.batch_std, x.std((0, 1, 2)))
        np.testing.assert_allclose(step.running_mean, averages.mean)
        np.testing.assert_allclose(step.running_std, np.sqrt(averages.variance))
        train = make("batch_norm", epsilon=1e-3)(x)
        used = make("running_batch_norm", epsilon=1e-3)(x, averages)
        np.testing.assert_allclose(step.train_mean, 0, atol=1e-12)
        np.testing.assert_allclose(step.train_std, train.std((0, 1, 2)))
        np.testing.assert_allclose(step.eval_mean, used.mean((0, 1, 2)))
        np.testing.assert_allclose(step.eval_std, used.std((0, 1, 2)))
    biased = next(compare_train_eval(batches, momentum=0.2, unbiased=False))
    np.testing.assert_allclose(
        biased.running_std**2, 0.8 + 0.2 * batches[0].var((0, 1, 2)), rtol=1e-12
    )
    assert list(compare_train_eval([])) == []


def test_eval_settles_on_the_data_and_is_off_when_they_change():
    rng = np.random.default_rng(0)
    batches = [rng.normal(5, 2, (16, 8, 8, 1)) for _ in range(60)]
    steps = list(compare_train_eval([*batches, batches[0] * 3 + 4]))
    assert steps[0].eval_mean[0] > 3 and abs(steps[59].eval_mean[0]) < 0.05
    assert steps[59].eval_std[0] == pytest.approx(1, abs=0.05)
    assert steps[60].eval_std[0] > 1.5 and steps[60].train_std[0] == pytest.approx(1, abs=1e-5)


# Batch renormalization ---------------------------------------------------------------------------


def test_batch_renorm_is_algorithm_1_of_the_paper():
    x = maps()
    # Channels whose r lies above, below and between its limits; then the same for d.
    mean, std = x.mean((0, 1, 2)), x.std((0, 1, 2))
    std_then = std / [3, 0.3, 1.1, 0.9, 1, 1]
    averages = RunningAverages(mean + std_then * [0, 0.1, 0.2, -0.3, 2, -2], std_then**2, 7)
    r_max, d_max, epsilon = 1.5, 0.4, 1e-3
    expected = np.empty_like(x)
    limited = set()
    for c in range(6):
        values = [x[n, h, w, c] for n, h, w in np.ndindex(x.shape[:3])]
        mu_b = sum(values) / len(values)
        sigma_b = (epsilon + sum((v - mu_b) ** 2 for v in values) / len(values)) ** 0.5
        mu, sigma = averages.mean[c], (averages.variance[c] + epsilon) ** 0.5
        r = min(max(sigma_b / sigma, 1 / r_max), r_max)
        d = min(max((mu_b - mu) / sigma, -d_max), d_max)
        limited |= {
            ("r", r) if r in (r_max, 1 / r_max) else "r",
            ("d", d) if abs(d) == d_max else "d",
        }
        expected[..., c] = (x[..., c] - mu_b) / sigma_b * r + d
    assert limited == {"r", ("r", 1.5), ("r", 1 / 1.5), "d", ("d", 0.4), ("d", -0.4)}
    norm = make("batch_renorm", r_max=r_max, d_max=d_max, epsilon=epsilon)
    np.testing.assert_allclose(norm(x, averages), expected, rtol=1e-11, atol=1e-12)
    # … and its moving averages: σ ← σ + α(σ_B − σ)
    after = make("batch_renorm", momentum=0.2, epsilon=epsilon).after(averages, x)
    sigma = np.sqrt(averages.variance + epsilon)
    sigma = sigma + 0.2 * (np.sqrt(x.var((0, 1, 2)) + epsilon) - sigma)
    np.testing.assert_allclose(np.sqrt(after.variance + epsilon), sigma, rtol=1e-12)
    mean = averages.mean + 0.2 * (x.mean((0, 1, 2)) - averages.mean)
    np.testing.assert_allclose(after.mean, mean, rtol=1e-12, atol=1e-15)
    assert after.batches == 8


def test_batch_renorm_between_its_limits():
    x, averages = maps(), settled()
    free = make("batch_renorm", r_max=100.0, d_max=100.0)
    used = make("batch_renorm", mode="eval")
    np.testing.assert_allclose(free(x, averages), used(x, averages), rtol=1e-9, atol=1e-11)
    bound = make("batch_renorm", r_max=1.0, d_max=0.0)
    alone = make("batch_norm", epsilon=1e-3)(x)
    np.testing.assert_allclose(bound(x, averages), alone, rtol=1e-9, atol=1e-11)
    assert bound.gain_along == bound.offset_along == ("C",)
    assert np.abs(free(x, averages) - alone).max() > 0.1


def test_no_mean_square_below_zero_is_kept():
    flat = np.full((2, 1, 1, 3), 4.0)
    averages = RunningAverages(np.zeros(3), np.zeros(3))
    for momentum in (0.01, 0.3, 1.0):
        after = make("batch_renorm", momentum=momentum).after(averages, flat)
        assert (after.variance >= 0).all() and after.variance.max() < 1e-15


# PyTorch -----------------------------------------------------------------------------------------


@pytest.fixture
def functional():
    return pytest.importorskip("torch").nn.functional


def in_torch(function, x: np.ndarray) -> np.ndarray:
    """``function`` of a channels-first float64 tensor, back as channels last."""
    torch = pytest.importorskip("torch")
    return function(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy().transpose(0, 2, 3, 1)


def test_pytorch_functions_agree(functional):
    F, x = functional, maps()

    def last(function):
        return lambda t: function(t.movedim(1, -1)).movedim(-1, 1)

    pairs = [
        (make("batch_norm"), lambda t: F.batch_norm(t, None, None, training=True)),
        (make("layer_norm"), lambda t: F.layer_norm(t, t.shape[1:])),
        (make("layer_norm", over="c"), last(lambda t: F.layer_norm(t, t.shape[-1:]))),
        (make("positional_norm"), last(lambda t: F.layer_norm(t, t.shape[-1:]))),
        (make("instance_norm"), lambda t: F.instance_norm(t)),
        (make("group_norm"), lambda t: F.group_norm(t, 3)),
        (make("rms_norm"), last(lambda t: F.rms_norm(t, t.shape[-1:], eps=1e-6))),
        (make("rms_norm", over="hwc"), lambda t: F.rms_norm(t, t.shape[1:], eps=1e-6)),
    ]
    for norm, function in pairs:
        theirs = in_torch(function, x)
        np.testing.assert_allclose(norm(x), theirs, rtol=1e-10, atol=1e-12, err_msg=norm.key)


@pytest.mark.parametrize("momentum", [0.1, 0.37, None])
def test_pytorch_batch_norm_layer_agrees_over_a_training(momentum):
    torch = pytest.importorskip("torch")
    layer = torch.nn.BatchNorm2d(6, affine=False, momentum=momentum).double()
    averages = RunningAverages.start(6)
    for seed in range(12):
        x = maps(samples=1 + seed % 4, seed=seed)
        layer.train()
        trained = in_torch(layer, x)
        averages = averages.after(x, momentum)
        np.testing.assert_allclose(averages.mean, layer.running_mean, rtol=1e-11, atol=1e-14)
        np.testing.assert_allclose(averages.variance, layer.running_var, rtol=1e-11)
        layer.eval()
        norm = make("running_batch_norm")
        np.testing.assert_allclose(norm(x, averages), in_torch(layer, x), rtol=1e-10, atol=1e-12)
        train = make("running_batch_norm", mode="train")
        np.testing.assert_allclose(train(x, averages), trained, rtol=1e-10, atol=1e-12)
    assert averages.batches == int(layer.num_batches_tracked)


def test_pytorch_train_and_eval_are_those_compared():
    torch = pytest.importorskip("torch")
    layer = torch.nn.BatchNorm2d(6, affine=False).double()
    batches = [maps(seed=seed) for seed in range(5)]
    for step, x in zip(compare_train_eval(batches), batches, strict=True):
        layer.train()
        np.testing.assert_allclose(step.train_std, in_torch(layer, x).std((0, 1, 2)), rtol=1e-10)
        layer.eval()
        used = in_torch(layer, x)
        np.testing.assert_allclose(step.eval_mean, used.mean((0, 1, 2)), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(step.eval_std, used.std((0, 1, 2)), rtol=1e-10)


def said(key: str) -> str:
    return " ".join(text for _, text in nv.FEATURE_NORMS[key].about.libraries)


def test_pytorch_differs_as_stated(functional):
    torch, F = pytest.importorskip("torch"), functional
    for refused in (
        lambda: F.batch_norm(torch.zeros(1, 2, 1, 1), None, None, training=True),
        lambda: F.instance_norm(torch.zeros(3, 2, 1, 1)),
    ):
        with pytest.raises(ValueError, match="Expected more than 1"):
            refused()
    assert "refuses one value a channel" in said("batch_norm")
    assert "refuses maps of one position" in said("instance_norm")
    small = torch.full((1, 1), 1e-3)
    theirs, ours = F.rms_norm(small, (1,)).item(), make("rms_norm")(small.numpy()[None, None])
    assert (theirs, ours.item()) == (pytest.approx(0.95, abs=6e-3), pytest.approx(0.71, abs=5e-3))
    assert "0.95 there, at 0.71 here" in said("rms_norm")


def test_the_authors_positional_norm_is_smaller_as_stated():
    # Their code divides by the std with ddof 1.
    for channels, share in ((32, 0.016), (2, 0.29)):
        x = maps(channels=channels)
        theirs = x - x.mean(axis=3, keepdims=True)
        theirs /= np.sqrt(x.var(axis=3, ddof=1, keepdims=True) + 1e-5)
        ratio = np.median(theirs / make("positional_norm")(x))
        assert 1 - ratio == pytest.approx(share, abs=5e-3)
        assert f"{share:.1%}".replace("%", " %").replace(".0 ", " ") in said("positional_norm")


def test_how_much_of_the_start_is_left_as_stated():
    x = [np.random.default_rng(seed).normal(7, 3, (4, 5, 5, 1)) for seed in range(10)]
    for momentum, left in ((0.1, 0.35), (0.01, 0.90)):
        averages = RunningAverages.start(1)
        for batch in x:
            averages = averages.after(batch - batch.mean() + 1, momentum)
        assert 1 - averages.mean[0] == pytest.approx(left, abs=5e-3)
    assert "90 % of the start" in said("running_batch_norm")
    assert "in PyTorch 35 %" in said("running_batch_norm")


# Keras -------------------------------------------------------------------------------------------


@pytest.fixture
def keras():
    return pytest.importorskip("keras")


def in_keras(keras, layer, x: np.ndarray, **options) -> np.ndarray:
    return keras.ops.convert_to_numpy(layer(x.astype(np.float32), **options))


def test_keras_layers_agree(keras):
    L, x = keras.layers, maps().astype(np.float32)
    plain = {"center": False, "scale": False}
    pairs = [
        ("batch_norm", {}, L.BatchNormalization(**plain), {"training": True}),
        ("layer_norm", {"over": "c"}, L.LayerNormalization(**plain), {}),
        ("positional_norm", {}, L.LayerNormalization(**plain), {}),
        ("layer_norm", {}, L.LayerNormalization(axis=(1, 2, 3), **plain), {}),
        ("instance_norm", {}, L.GroupNormalization(groups=-1, **plain), {}),
        ("group_norm", {}, L.GroupNormalization(groups=3, **plain), {}),
    ]
    for key, parameters, layer, options in pairs:
        assert layer.epsilon == 1e-3, key
        ours = make(key, epsilon=1e-3, **parameters)(x)
        done = in_keras(keras, layer, x, **options)
        np.testing.assert_allclose(done, ours, rtol=1e-5, atol=5e-6, err_msg=key)
    rms = in_keras(keras, L.RMSNormalization(), x)
    assert L.RMSNormalization().epsilon == make("rms_norm").epsilon == 1e-6
    np.testing.assert_allclose(rms, make("rms_norm")(x), rtol=1e-5, atol=1e-6)
    whole = in_keras(keras, L.RMSNormalization(axis=(1, 2, 3)), x)
    np.testing.assert_allclose(whole, make("rms_norm", over="hwc")(x), rtol=1e-5, atol=1e-6)


def test_keras_batch_norm_layer_agrees_over_a_training(keras):
    layer = keras.layers.BatchNormalization(center=False, scale=False)
    norm = make("running_batch_norm", momentum=0.01, variance="biased", epsilon=1e-3)
    averages = RunningAverages.start(6)
    for seed in range(12):
        x = maps(samples=1 + seed % 4, seed=seed)
        trained = in_keras(keras, layer, x, training=True)
        averages = norm.after(averages, x)
        np.testing.assert_allclose(
            averages.mean, keras.ops.convert_to_numpy(layer.moving_mean), rtol=1e-5, atol=1e-6
        )
        np.testing.assert_allclose(
            averages.variance, keras.ops.convert_to_numpy(layer.moving_variance), rtol=1e-5
        )
        train = dataclasses.replace(norm, mode="train")(x)
        np.testing.assert_allclose(trained, train, rtol=1e-4, atol=1e-5)
        used = in_keras(keras, layer, x, training=False)
        np.testing.assert_allclose(used, norm(x, averages), rtol=1e-5, atol=1e-5)
    # 20 values: the unbiased variance would be 5 % larger, and is not what Keras keeps.
    x = maps(samples=1)
    one = keras.layers.BatchNormalization(center=False, scale=False, momentum=0.0)
    in_keras(keras, one, x, training=True)
    kept = keras.ops.convert_to_numpy(one.moving_variance)
    np.testing.assert_allclose(kept, x.var((0, 1, 2)), rtol=1e-5)
    assert (np.abs(kept / x.var((0, 1, 2), ddof=1) - 1) > 0.04).all()


def test_tensorflow_fused_batch_norm_hands_out_the_unbiased_variance():
    tf = pytest.importorskip("tensorflow")
    x, none = maps(1, 2, 4, 3).astype(np.float32), np.zeros(0, np.float32)
    ones = np.ones(3, np.float32)
    done = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=ones, offset=0 * ones, mean=none, variance=none, epsilon=1e-3, is_training=True
    )
    np.testing.assert_allclose(done[0], make("batch_norm", epsilon=1e-3)(x), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(done[2], x.var((0, 1, 2), ddof=1), rtol=1e-5)
    np.testing.assert_allclose(done[2], 8 / 7 * x.var((0, 1, 2)), rtol=1e-5)


def test_keras_batch_renorm_agrees_over_a_training(keras):
    import inspect

    if "renorm" not in inspect.signature(keras.layers.BatchNormalization).parameters:
        pytest.skip("this Keras has no batch renormalization")
    layer = keras.layers.BatchNormalization(
        center=False,
        scale=False,
        momentum=0.9,
        renorm=True,
        renorm_momentum=0.9,
        renorm_clipping={"rmax": 1.4, "rmin": 1 / 1.4, "dmax": 0.3},
    )
    norm = make("batch_renorm", r_max=1.4, d_max=0.3, momentum=0.1)
    # Keras starts with σ = 1, not with the variance.
    averages = RunningAverages(np.zeros(6), np.full(6, 1 - 1e-3))
    for seed in range(8):
        x = maps(seed=seed)
        trained = in_keras(keras, layer, x, training=True)
        np.testing.assert_allclose(trained, norm(x, averages), rtol=1e-4, atol=2e-5)
        averages = norm.after(averages, x)
        np.testing.assert_allclose(
            averages.variance, keras.ops.convert_to_numpy(layer.moving_variance), rtol=1e-5
        )
        used = in_keras(keras, layer, x, training=False)
        eval_mode = dataclasses.replace(norm, mode="eval")
        np.testing.assert_allclose(used, eval_mode(x, averages), rtol=1e-4, atol=2e-5)


def test_keras_differs_as_stated(keras):
    plain = {"center": False, "scale": False}
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 16, 16, 4))
    small = ((x - x.mean((0, 1, 2))) / x.std((0, 1, 2)) * 0.1).astype(np.float32)
    layer = keras.layers.BatchNormalization(**plain)
    done = in_keras(keras, layer, small, training=True)
    np.testing.assert_allclose(done.std((0, 1, 2)), 0.953, atol=1e-3)
    ours = make("batch_norm")
    np.testing.assert_allclose(ours(small).std((0, 1, 2)), 0.9995, atol=1e-4)
    assert "std 0.953, here 0.9995" in said("batch_norm")
    if keras.backend.backend() == "torch":
        far = (100 + 0.1 * x).astype(np.float32)
        layer = keras.layers.BatchNormalization(epsilon=1e-5, **plain)
        stds = in_keras(keras, layer, far, training=True).std((0, 1, 2))
        assert stds.min() < 0.99 and stds.max() > 1.05  # which digits go depends on the machine
        np.testing.assert_allclose(ours(far).std((0, 1, 2)), 0.9995, atol=1e-4)
    if keras.backend.backend() == "tensorflow":
        far = (100 + 0.1 * x).astype(np.float32)
        layer = keras.layers.BatchNormalization(epsilon=1e-5, **plain)
        stds = in_keras(keras, layer, far, training=True).std((0, 1, 2))
        np.testing.assert_allclose(stds, 0.9995, atol=1e-4)
    assert "stds from 0.97 to 1.08" in said("batch_norm")
    if hasattr(keras.ops, "layer_normalization"):
        rms = keras.ops.layer_normalization(x, rms_scaling=True, axis=-1, epsilon=1e-6)
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(rms),
            x / np.sqrt(x.var(axis=3, keepdims=True) + 1e-6),
            rtol=1e-4,
            atol=1e-5,
        )


# Code --------------------------------------------------------------------------------------------

CODE_FORMS = [
    *FORMS,
    ("batch_renorm", {"mode": "train", "r_max": 1.3, "d_max": 0.2}),
    ("group_norm", {"groups": 1, "epsilon": 0.05}),
]


def written(norm, target: str) -> str:
    if norm.key in ("running_batch_norm", "batch_renorm"):
        return norm.code(target, settled())
    return norm.code(target)


def expected(norm, x):
    if norm.key in ("running_batch_norm", "batch_renorm"):
        return norm(x, settled())
    return norm(x)


@pytest.mark.parametrize("target", FEATURE_TARGETS)
@pytest.mark.parametrize(("key", "parameters"), CODE_FORMS)
def test_code_gives_the_same_result(key, parameters, target):
    library = {"torchvision": "torch", "keras": "keras", "numpy": "numpy"}[target]
    module = pytest.importorskip(library)
    norm = make(key, **parameters)
    scope: dict = {}
    exec(written(norm, target), scope)
    for x in (maps(), maps(2, 1, 3, seed=4), maps(1, 3, 2, seed=5)):
        x = x.astype(np.float32)
        before = x.copy()
        if target == "torchvision":
            tensor = module.from_numpy(x.transpose(0, 3, 1, 2).copy())
            kept = tensor.clone()
            done = scope["normalize"](tensor)
            assert done.dtype == module.float32 and module.equal(tensor, kept)
            done = done.numpy().transpose(0, 2, 3, 1)
        elif target == "keras":
            done = scope["normalize"](module.ops.convert_to_tensor(x))
            assert module.backend.standardize_dtype(done.dtype) == "float32"
            done = module.ops.convert_to_numpy(done)
        else:
            done = scope["normalize"](x)
            assert done.dtype == np.float32
        # Libraries compute in float32, Keras its variances as a difference of squares.
        np.testing.assert_allclose(done, expected(norm, x), rtol=2e-5, atol=2e-5)
        np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("target", FEATURE_TARGETS)
@pytest.mark.parametrize("key", ["running_batch_norm", "batch_renorm"])
def test_code_of_a_new_layer_takes_any_number_of_channels(key, target):
    library = {"torchvision": "torch", "keras": "keras", "numpy": "numpy"}[target]
    module = pytest.importorskip(library)
    norm = make(key)
    scope: dict = {}
    exec(norm.code(target), scope)
    x = maps().astype(np.float32)
    if target == "torchvision":
        given = module.from_numpy(x.transpose(0, 3, 1, 2).copy())
        done = scope["normalize"](given).numpy().transpose(0, 2, 3, 1)
    elif target == "keras":
        done = module.ops.convert_to_numpy(scope["normalize"](module.ops.convert_to_tensor(x)))
    else:
        done = scope["normalize"](x)
    np.testing.assert_allclose(done, norm(x), rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("target", FEATURE_TARGETS)
@pytest.mark.parametrize(("key", "parameters"), CODE_FORMS)
def test_all_code_is_python_that_defines_normalize(key, parameters, target):
    wide = RunningAverages(np.linspace(-1, 1, 64) / 3, np.linspace(1, 2, 64) / 7)
    norm = make(key, **parameters)
    text = norm.code(target, wide) if "running" in key or "renorm" in key else norm.code(target)
    names = {node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    assert "normalize" in names
    assert max(map(len, text.splitlines())) <= 100 and text.endswith("\n")
    assert "# MEAN" not in text
    if "MEAN = [" in text:
        scope: dict = {}
        numbers = text[text.index("MEAN = [") : text.index("EPSILON")]
        exec(numbers, scope)
        np.testing.assert_allclose(scope["MEAN"], wide.mean, rtol=1e-14)
        np.testing.assert_allclose(scope["VARIANCE"], wide.variance, rtol=1e-14)


@pytest.mark.parametrize("key", KEYS)
def test_albumentations_has_no_feature_maps(key):
    with pytest.raises(
        ParameterError, match="no code for 'albumentations'; there is numpy, torchvision, keras"
    ):
        make(key).code("albumentations")
