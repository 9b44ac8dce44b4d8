"""What is read over the depth of a network, against NumPy on activations that are kept."""

from __future__ import annotations

import numpy as np
import pytest

from normviz.observe.depth import (
    MEASURES,
    agreeing,
    depth_sentence,
    median_shift,
    network_shift,
    ranked_shifts,
    shifts,
)
from normviz.observe.network import NetworkRecord, Prediction
from normviz.observe.recorder import LayerRecord

RNG = np.random.default_rng(5)
HELD = RNG.normal(1.0, 2.0, (3, 6, 11, 7)).astype(np.float32)
MOVED = HELD + np.arange(6, dtype=np.float32)[:, np.newaxis, np.newaxis]


def record(*layers: np.ndarray, classes=(), saturation=None) -> NetworkRecord:
    predictions = tuple(Prediction((c, c + 1), (0.6, 0.4), 0.97) for c in classes)
    folded = tuple(LayerRecord.of(values, saturation=saturation) for values in layers)
    return NetworkRecord("feed", len(layers[0]), folded, predictions)


def test_shifts_are_in_stds_of_the_reference_a_channel():
    found = shifts(LayerRecord.of(MOVED), LayerRecord.of(HELD))
    std = HELD.astype(np.float64).std(axis=(0, 2, 3))
    assert found == pytest.approx(np.arange(6) / std, abs=1e-5)
    assert median_shift(LayerRecord.of(MOVED), LayerRecord.of(HELD)) == pytest.approx(
        np.median(np.arange(6) / std), rel=1e-5
    )


def test_a_channel_that_does_not_vary_has_no_shift():
    held = HELD.copy()
    held[:, 2] = 1000.0
    found = shifts(LayerRecord.of(MOVED), LayerRecord.of(held))
    assert np.isnan(found[2]) and np.isfinite(np.delete(found, 2)).all()
    flat = LayerRecord.of(np.ones((1, 2, 3, 3)))
    assert np.isnan(median_shift(flat, flat))


def test_ranked_shifts_name_the_channels_that_they_are_of():
    other = record(MOVED[:, ::-1], HELD)
    held = record(HELD[:, ::-1], HELD)
    values, channels = ranked_shifts(other, held, rows=6)
    assert values.shape == (6, 2) and (np.diff(values[:, 0]) > 0).all()
    # Channel 5 was channel 0 before turning round: it is not moved, channel 0 most.
    assert channels[:, 0].tolist() == [5, 4, 3, 2, 1, 0]
    assert values[:, 1] == pytest.approx(0.0)


def test_measures_are_those_of_all_units():
    layer = LayerRecord.of(MOVED, saturation=4.0)
    held = LayerRecord.of(HELD)
    values = MOVED.astype(np.float64)
    wanted = {
        "std": values.std(),
        "mean": values.mean(),
        "firing": 100 * (values > 0).mean(),
        "dead": 0.0,
        "saturated": 100 * (values >= 4).mean(),
        "shift": median_shift(layer, held),
    }
    for name, value in wanted.items():
        assert MEASURES[name].of(layer, held) == (pytest.approx(value, rel=1e-5),), name
    low, high = MEASURES["range"].of(layer, held)
    assert (low, high) == pytest.approx(np.percentile(values, [1, 99]), rel=2**-7)
    assert MEASURES["shift"].of(held, held) == (None,)
    assert MEASURES["saturated"].of(held, held) == (None,)
    dead = LayerRecord.of(-np.abs(MOVED[:, :3]))
    assert MEASURES["dead"].of(dead, dead) == (100.0,)


def test_the_sentence_names_the_nearest_and_the_farthest():
    held = record(HELD, classes=(1, 2, 3))
    near = record(HELD + 0.2, classes=(1, 2, 9))
    far = record(HELD + 5.0, classes=(7, 8, 9))
    said = depth_sentence([("far", far), ("near", near)], ("as trained", held), "−3 EV")
    assert said.startswith("At −3 EV, “near” keeps the channels nearest to those as trained")
    assert "moved by 0.10 of their std" in said and "2 of 3 images" in said
    assert "“far” moves them most, by 2.5" in said and "0 of 3 images" in said
    assert network_shift(far, held) == pytest.approx(
        np.median(5.0 / HELD.astype(np.float64).std(axis=(0, 2, 3))), rel=1e-5
    )
    assert agreeing(near.predictions, held.predictions) == 2
    alone = depth_sentence([], ("as trained", held))
    assert "Choose a second method" in alone
