"""What every method in the registry promises, checked on every one of them."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import normviz as nv
from normviz.errors import NotFittedError, ParameterError, ShapeError
from normviz.images import ValueRange

KEYS = list(nv.METHODS)
BY_CHANNELS = [(key, n) for key in KEYS for n in nv.METHODS[key].about.channels]

# Percentiles of floats are known to one of 65,536 bins, so fits on float images differ by that.
BINNED = {"white_patch"}


def photo(height=17, width=11, channels=3, seed=0) -> np.ndarray:
    """Smooth shading with grain in the middle of the range, so that gain and offset have room."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    shade = 90 + 50 * np.sin(x / 3)[..., None] + 30 * np.cos(y[..., None] / 5 + np.arange(channels))
    return np.clip(shade + rng.normal(0, 8, (height, width, channels)), 0, 255).astype(np.uint8)


def fitted(key: str, channels: int = 3):
    images = [nv.image_of(photo(channels=channels, seed=seed)) for seed in range(3)]
    kind = nv.METHODS[key]
    # The small test photo is all within one surround of 80 px, whose mean no shuffling changes.
    given = {"retinex_ssr": {"sigma": 2.0}}.get(key, {})
    if key == "published" and channels == 1:
        given = {"preset": "mnist"}
    method = kind(**given)
    return method.fit(numbers_for(method, images))


def numbers_for(method, images):
    """What the method is fitted on: the images themselves, or their statistics."""
    return images if method.about.fits_on == "images" else nv.scan(images, mean_image=8)


@pytest.mark.parametrize(("key", "channels"), BY_CHANNELS)
def test_shape_type_and_untouched_read_only_input(key, channels):
    pixels = photo(channels=channels)
    before = pixels.copy()
    pixels.flags.writeable = False
    done = fitted(key, channels)(pixels)
    assert done.shape == (17, 11, channels) and done.dtype == np.float32
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("key", KEYS)
def test_a_view_with_strides_gives_what_its_copy_gives(key):
    view = photo(34, 22)[::2, ::-2]
    method = fitted(key)
    np.testing.assert_array_equal(method(view), method(np.ascontiguousarray(view)))


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (90, 90, 90), (200, 0, 31)])
@pytest.mark.parametrize("size", [(1, 1), (6, 9)])
@pytest.mark.parametrize("key", KEYS)
def test_flat_images_stay_finite(key, size, colour):
    pixels = np.full((*size, 3), colour, np.uint8)
    method = fitted(key)
    assert np.isfinite(method(pixels)).all()
    if len(set(colour)) == 1 and "offset" in method.method.about.invariances:
        # Where all values of an image rank alike they become the highest of the set.
        level = method.constants["value"][-1] if key == "match_histogram" else 0
        expected = np.broadcast_to(level, pixels.shape)
        np.testing.assert_allclose(method(pixels), expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("key", KEYS)
def test_a_batch_is_its_images_one_by_one(key):
    batch = np.stack([photo(seed=seed) for seed in range(4)])
    method = fitted(key)
    np.testing.assert_array_equal(method(batch), np.stack([method(one) for one in batch]))
    assert method(batch[:0]).shape == (0, 17, 11, 3)
    assert method.reference(batch[:0]).shape == (0, 17, 11, 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("key", KEYS)
def test_the_fast_path_is_the_definition_at_every_depth(key, dtype):
    levels = photo().astype(np.float64)
    scaled = {np.uint8: levels, np.uint16: levels * 257, np.float32: levels / 255}[dtype]
    pixels = scaled.astype(dtype)
    method = fitted(key)
    reference = method.reference(photo())
    # float32 sees differences of fractions near 1e-7; a gain of 255 makes them 3e-5.
    tolerance = 2e-6 * max(1.0, np.abs(reference).max())
    if key in BINNED and dtype == np.float32:
        tolerance = 4 / 65536 * max(1.0, np.abs(reference).max())
    np.testing.assert_allclose(method(pixels), reference, rtol=1e-5, atol=tolerance)
    np.testing.assert_allclose(method.reference(pixels), reference, rtol=1e-5, atol=tolerance)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("key", KEYS)
def test_a_table_says_what_the_call_does_and_rises(key, dtype):
    method = fitted(key)
    image = nv.image_of(photo().astype(dtype))
    table = method.table(nv.image_statistics(image))
    assert (table is None) == (type(method.method).table is nv.Method.table)
    if table is not None:
        assert table.shape == (image.levels, 3) and (np.diff(table, axis=0) >= 0).all()
        expected = np.stack([table[image.pixels[..., c], c] for c in range(3)], axis=2)
        np.testing.assert_allclose(method.reference(image.pixels), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("key", KEYS)
def test_affine_says_what_the_call_does(key, dtype):
    method = fitted(key)
    image = nv.image_of(photo().astype(dtype), (-50, 300) if dtype == np.float32 else None)
    pair = method.affine(nv.image_statistics(image))
    if pair is None:
        # A stretch that is cut off is a curve, and exact ranks of floats need their pixels.
        ranked = key == "percentile_stretch"
        ranked |= key in ("robust", "shades_of_grey") and dtype == np.float32
        assert type(method.method).coefficients is nv.Method.coefficients or ranked
        return
    expected = image.pixels.astype(float) * pair.gain + pair.bias
    done = method(image.pixels, image.value_range)
    # float32 carries a bias of hundreds of levels to 4e-6, however small the result is.
    tolerance = 1e-6 * max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(done, expected, rtol=1e-6, atol=tolerance)


def ends():
    """Every method at the lowest, highest and every choice of each of its parameters."""
    for key, kind in nv.METHODS.items():
        for field in dataclasses.fields(kind):
            facts = field.metadata
            for value in facts["choices"] or (facts["low"], facts["high"]):
                yield pytest.param(key, {field.name: value}, id=f"{key}-{field.name}-{value}")


@pytest.mark.parametrize(("key", "parameters"), list(ends()))
def test_the_ends_of_every_parameter_keep_the_contract(key, parameters):
    method = nv.METHODS[key](**parameters)
    channels = method.published.channels if key == "published" else 3
    images = [photo(channels=channels, seed=seed) for seed in range(3)]
    done = method.fit(numbers_for(method, [nv.image_of(one) for one in images]))
    flat = np.full((6, 9, channels), 90, np.uint8)
    for pixels in (*images, flat, flat[:1, :1]):
        reference = done.reference(pixels)
        scale = max(1.0, np.abs(reference).max())
        assert np.isfinite(reference).all()
        np.testing.assert_allclose(done(pixels), reference, rtol=1e-5, atol=2e-6 * scale)
        if method.about.invertible:
            np.testing.assert_allclose(done.inverse(reference), pixels, atol=1e-9)
    again = nv.from_json(done.to_json())
    assert again.method == method
    np.testing.assert_array_equal(again(images[0]), done(images[0]))


# A gain about black needs a value range that starts at 0, with room for what it makes.
ROOM = (0.0, 40.0)


@settings(max_examples=25, deadline=None)
@given(
    gain=arrays.arrays(float, 3, elements=st.floats(0.3, 3.0)),
    offset=arrays.arrays(float, 3, elements=st.floats(-0.2, 2.0)),
    key=st.sampled_from([key for key in KEYS if nv.METHODS[key].about.invariances]),
    seed=st.integers(0, 99),
)
def test_promised_invariances_hold(gain, offset, key, seed):
    method = fitted(key)
    u = photo(seed=seed) / 255.0 + 0.25
    base = method.reference(u, ROOM)
    changes = {
        "gain": gain[0] * u,
        "offset": u + offset[0],
        "channel_gain": gain * u,
        "channel_offset": u + offset,
        "colour_cast": gain * u,
        # Kept within the room, which the third power of four is not.
        "curve": ((u + offset[0] + 1) / 4) ** gain[0],
    }
    for name in method.method.about.invariances:
        done = method.reference(changes[name], ROOM)
        if name == "colour_cast":
            done = done * (base.mean() / done.mean())
        np.testing.assert_allclose(
            done, base, rtol=1e-6, atol=1e-7 * np.abs(base).max(), err_msg=name
        )


@pytest.mark.parametrize("key", KEYS)
def test_what_is_not_promised_is_seen(key):
    method = fitted(key)
    u = photo() / 255.0 + 0.25
    base = method.reference(u, ROOM)
    gain, offset = np.array([0.5, 1.0, 2.0]), np.array([0.0, 0.3, 0.7])
    changes = {
        "gain": 2 * u,
        "offset": u + 0.5,
        "channel_gain": gain * u,
        "channel_offset": u + offset,
        "curve": (u + 1) ** 1.7,
    }
    for name, changed in changes.items():
        if name not in method.method.about.invariances:
            away = np.abs(method.reference(changed, ROOM) - base).max()
            assert away > 1e-3 * np.abs(base).max(), name


@pytest.mark.parametrize("key", KEYS)
def test_shuffled_pixels_give_the_shuffled_result_where_promised(key):
    method, pixels = fitted(key), photo()
    order = np.random.default_rng(5).permutation(17 * 11)

    def shuffle(image):
        return image.reshape(-1, 3)[order].reshape(image.shape)

    same = np.allclose(method(shuffle(pixels)), shuffle(method(pixels)), rtol=1e-5, atol=1e-5)
    assert same == method.method.about.shuffles


@pytest.mark.parametrize("key", KEYS)
def test_inverse_gives_the_pixels_back_where_promised(key):
    method, pixels = fitted(key), photo()
    if method.method.about.invertible:
        np.testing.assert_allclose(method.inverse(method.reference(pixels)), pixels, atol=1e-9)
        back = method.inverse(method.reference(pixels), (0.0, 1.0))
        np.testing.assert_allclose(back, pixels / 255.0, atol=1e-9)
    else:
        with pytest.raises(ParameterError, match="cannot be undone"):
            method.inverse(method(pixels))


@pytest.mark.parametrize("key", [key for key in KEYS if nv.METHODS[key].about.invertible])
def test_inverse_takes_float32_and_batches_and_refuses_other_shapes(key):
    method, batch = fitted(key), np.stack([photo(), photo(seed=1)])
    # float32 keeps seven digits of the output: well below a tenth of a level.
    np.testing.assert_allclose(method.inverse(method(batch)), batch, atol=1e-3)
    with pytest.raises(ShapeError, match="shape"):
        method.inverse(np.zeros((5, 5)))
    with pytest.raises(ShapeError, match="value range"):
        method.inverse(np.zeros((5, 5, 3)), (1.0, 1.0))
    if method.constants:
        said = "3-channel" if 1 in method.method.about.channels else "defined for 3 channels"
        with pytest.raises(ShapeError, match=said):
            method.inverse(np.zeros((5, 5, 1)))


@pytest.mark.parametrize("key", KEYS)
def test_json_brings_back_the_same_bits(key):
    method = fitted(key)
    again = nv.from_json(method.to_json())
    assert again.method == method.method and again.constants.keys() == method.constants.keys()
    np.testing.assert_array_equal(again(photo(seed=9)), method(photo(seed=9)))


_MEAN = '{"format": "normviz-fitted/1", "method": "dataset_mean", "parameters": {}, "constants": '
_LCN = '{"format": "normviz-fitted/1", "method": "lcn", "constants": {}, "parameters": '


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": "normviz-fitted/1", "method": "magic"}',
        _LCN + '{"window": 8}}',
        _LCN + '{"w": 9}}',
        _LCN + "7}",
        "[" * 100_000,
        _MEAN + "{}}",
        _MEAN + '{"mean": {"shape": [3], "values": [1, 2]}}}',
        _MEAN + '{"mean": {"shape": [2], "values": [1, 2]}}}',
        _MEAN + '{"mean": {"shape": [1], "values": [1e999]}}}',
        _MEAN + '{"mean": {"shape": [], "values": [1]}}}',
        _MEAN + '{"mean": 1}}',
        _MEAN + '{"mean": {"shape": [1], "values": [1' + 400 * "0" + "]}}}",
    ],
    ids=str.__len__,
)
def test_damaged_json_is_refused_with_a_sentence(text):
    with pytest.raises(ParameterError):
        nv.from_json(text)


@pytest.mark.parametrize("key", KEYS)
def test_wrong_input_is_named(key):
    method = fitted(key)
    with pytest.raises(ShapeError, match="shape"):
        method(np.zeros((5, 5), np.uint8))
    with pytest.raises(ShapeError, match="int32"):
        method(np.zeros((5, 5, 3), np.int32))
    bad = np.full((4, 5, 3), 0.5, np.float32)
    bad[2, 3, 1] = np.nan
    with pytest.raises(ShapeError, match="NaN at row 2, column 3, channel 1"):
        method(bad)
    with pytest.raises(ShapeError, match="from 12 to 190 leave the value range 0…1"):
        method(np.linspace(12, 190, 60, dtype=np.float32).reshape(4, 5, 3))
    for nothing in ((1.0, 1.0), (0.0, float("inf")), (float("nan"), 1.0)):
        with pytest.raises(ShapeError, match="value range"):
            method(np.full((4, 5, 3), 0.5, np.float32), nothing)
    if 1 not in method.method.about.channels:
        with pytest.raises(ShapeError, match="A grey image has no colour"):
            method(photo(channels=1))
    elif method.method.fitted_channels(method.constants) == 3:
        with pytest.raises(ShapeError, match="3-channel"):
            method(photo(channels=1))


@pytest.mark.parametrize("key", KEYS)
def test_what_needs_numbers_says_so(key):
    kind = nv.METHODS[key]
    said = {"numbers": "needs the numbers of a dataset", "images": "needs images to be fitted on"}
    if kind.about.fits_on:
        with pytest.raises(NotFittedError, match=said[kind.about.fits_on]):
            kind().fit()
        if kind.about.fits_on == "images":
            for nothing in ([], [photo()], nv.scan([nv.image_of(photo())])):
                with pytest.raises(NotFittedError, match=said["images"]):
                    kind().fit(nothing)
    else:
        assert kind().fit()(photo()).shape == (17, 11, 3)


@pytest.mark.parametrize("key", KEYS)
def test_parameters_outside_their_bounds_are_named(key):
    kind = nv.METHODS[key]
    for field in dataclasses.fields(kind):
        facts = field.metadata
        wrong = ["nonsense", None, [1], True, 1 + 1j]
        if facts["choices"] is None:
            wrong += [facts["low"] - 1, facts["high"] + 1, float("nan"), float("inf")]
            if isinstance(field.default, int):
                wrong += [facts["low"] + 0.5]
            assert facts["low"] <= field.default <= facts["high"]
        else:
            assert field.default in facts["choices"]
        for value in wrong:
            with pytest.raises(ParameterError, match=facts["label"].replace("(", r"\(")):
                kind(**{field.name: value})
        assert facts["label"] and facts["help"]


@pytest.mark.parametrize("key", KEYS)
def test_the_about_block_is_whole(key):
    kind = nv.METHODS[key]
    about = kind.about
    assert kind.key == key and kind.__doc__ and ">>>" in kind.__doc__
    for text in (about.title, about.short, about.formula, about.summary, about.loses, about.flat):
        assert text.strip()
    assert about.unit and about.sources and about.nominal[0] < about.nominal[1]
    assert (about.scope == "fixed") == (about.reduces == ())
    assert ("N" in about.reduces) == (about.scope in ("dataset", "batch"))
    assert (about.fits_on == "") == (about.scope not in ("dataset", "batch"))


def test_numbers_of_numpy_become_plain_so_that_json_can_hold_them():
    method = nv.METHODS["batch_zscore"](batch_size=np.int64(2), epsilon=np.float32(0.0625))
    assert (type(method.batch_size), type(method.epsilon)) == (int, float)
    assert nv.METHODS["white_patch"](percentile=99).percentile.hex() == (99.0).hex()
    assert type(nv.METHODS["image_mean"](scale=255.0).scale) is int
    json.loads(method.fit(nv.scan([nv.image_of(photo())])).to_json())


@pytest.mark.parametrize("key", [k for k in KEYS if nv.METHODS[k].about.fits_on == "numbers"])
def test_an_empty_set_is_no_set_to_fit_on(key):
    with pytest.raises(NotFittedError, match="no image could be read"):
        nv.METHODS[key]().fit(nv.scan([], mean_image=8))


def test_short_names_are_unique_since_addresses_hold_them():
    shorts = [kind.about.short for kind in nv.METHODS.values()]
    assert len(set(shorts)) == len(shorts)


def test_fitting_changes_nothing_it_was_given():
    method = nv.METHODS["dataset_zscore"]()
    stats = nv.scan([nv.image_of(photo())])
    mean = stats.fraction_mean.copy()
    done = method.fit(stats)
    assert method == nv.METHODS["dataset_zscore"]()
    np.testing.assert_array_equal(stats.fraction_mean, mean)
    with pytest.raises(ValueError, match="read-only"):
        done.constants["mean"][0] = 0


def test_value_range_of_integers_cannot_be_declared_otherwise():
    with pytest.raises(ShapeError, match="value range"):
        fitted("lcn")(photo(), ValueRange(0, 1))


@pytest.mark.parametrize(("key", "channels"), BY_CHANNELS)
def test_every_channel_of_the_result_has_a_name_of_its_own(key, channels):
    names = fitted(key, channels).method.channel_names(channels)
    assert len(names) == len(set(names)) == channels


def test_channels_that_are_turned_round_are_named_so():
    assert nv.METHODS["published"](preset="vgg").channel_names(3) == ("R", "G", "B")
    turned = nv.METHODS["published"](preset="vgg", order="network")
    assert turned.channel_names(3) == ("B", "G", "R")
    x = np.array([[[255, 0, 0]]], np.uint8)
    assert turned.channel_names(3)[int(np.argmax(turned.fit()(x)))] == "R"
