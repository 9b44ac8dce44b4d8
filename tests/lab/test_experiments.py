"""Each experiment in a tiny spec to its verdict, processes, and verdicts of planted numbers."""

from __future__ import annotations

import dataclasses
import json
import threading
import time

import numpy as np
import pytest

from normviz.errors import NormvizError, ParameterError
from normviz.images import image_of
from normviz.lab import (
    CLAIMS,
    DIGITS,
    EXPERIMENTS,
    OwnImages,
    Result,
    Workers,
    precomputed,
    result_of,
    run,
)
from normviz.lab.experiment import Record, Task, work_of
from normviz.lab.experiments import channel_gradients, mean_image, signal, variance_split
from normviz.lab.split import split_of_images

TINY = {
    "conditioning": {"methods": ("raw1", "ds_mean", "ds_scale", "ds_z", "img_z"), "images": 220,
                     "stable_steps": 8, "curve_steps": 20},
    "curvature": {"images": 16, "lanczos": 3},
    "one_rate": {"methods": ("raw1", "ds_z", "img_z"), "per_class": 6, "steps": 25},
    "shift": {"per_class": 6, "test_per_class": 4, "steps": 25},
    "nuisance": {"per_class": 6, "test_per_class": 4, "steps": 25, "sigmas": (0.0, 1.0)},
    "signal": {"per_texture": 8, "test_per_texture": 8, "steps": 25, "sigmas": (0.0, 1.0)},
    "batch_norm": {"per_class": 6, "steps": 25},
    "full_batch": {"per_class": 4, "steps": 25},
    "batch_statistics": {"per_class": 6, "batches": 50},
    "one_step": {"per_class": 6, "measured": 40, "draws": 16, "warm_steps": 5},
    "day_night": {"per_class": 6, "test_per_class": 4, "steps": 25, "filters": 32},
    "mean_image": {"per_class": 6, "test_per_class": 4, "steps": 25},
    "channel_gradients": {"per_class": 6, "steps": 10},
    "colour": {"per_class": 6, "test_per_class": 4, "steps": 25},
    "variance_split": {"per_class": 6, "test_per_class": 4, "steps": 25},
}  # fmt: skip


def tiny(key, seeds=(0, 1)):
    return dataclasses.replace(EXPERIMENTS[key].spec, seeds=seeds, **TINY[key])


def words(verdict) -> bool:
    return verdict.word in ("holds", "fails", "not decided") or verdict.word.startswith(
        "holds only "
    )


@pytest.mark.parametrize("key", list(EXPERIMENTS))
def test_an_experiment_runs_to_its_verdict(key):
    experiment, spec = EXPERIMENTS[key], tiny(key)
    *records, result = run(experiment, spec, workers=0)
    assert all(isinstance(record, Record) for record in records)
    assert [record.seed for record in records if record.kind == "seed"] == [0, 1]
    assert len(records) > 4
    assert isinstance(result, Result)
    assert tuple(verdict.claim for verdict in result.verdicts) == experiment.claims
    for verdict in result.verdicts:
        assert words(verdict) and verdict.effects and verdict.because
        assert all(effect.seeds == 2 for effect in verdict.effects)
    text = json.dumps(result.to_json(), allow_nan=False)
    assert json.loads(text)["spec"]["seeds"] == [0, 1]


@pytest.mark.parametrize("key", ["shift", "batch_norm", "conditioning", "one_step"])
def test_the_same_spec_gives_the_same_bits_in_processes_as_here(key):
    spec = tiny(key)
    with Workers(2) as workers:
        once, again = (result_of(EXPERIMENTS[key], spec, workers=workers) for _ in range(2))
    here = result_of(EXPERIMENTS[key], spec, workers=0)
    kept = [(one.verdicts, one.tables) for one in (once, again, here)]
    assert kept[0] == kept[1] == kept[2]
    other = result_of(EXPERIMENTS[key], tiny(key, (2, 3)), workers=0)
    assert other.tables != here.tables


def test_closing_a_run_ends_its_processes_at_once():
    workers = Workers(2)
    records = run(EXPERIMENTS["shift"], workers=workers)
    next(records)
    processes = list(workers._processes)
    assert len(processes) == 2 and all(one.poll() is None for one in processes)
    begun = time.perf_counter()
    records.close()
    assert time.perf_counter() - begun < 1
    assert all(one.poll() is not None for one in processes)


def test_what_a_task_raises_is_raised_here_and_the_next_run_works():
    broken = dataclasses.replace(tiny("shift"), methods=("nonsense",))
    with Workers(1) as workers:
        with pytest.raises(KeyError, match="nonsense"):
            result_of(EXPERIMENTS["shift"], broken, workers=workers)
        assert result_of(EXPERIMENTS["batch_statistics"], tiny("batch_statistics"), workers=workers)


def test_an_error_with_arguments_of_its_own_arrives_as_its_sentence(tmp_path, monkeypatch):
    module = tmp_path / "unreadable_experiment.py"
    module.write_text(
        """
from dataclasses import replace
from normviz.errors import ReadError
from normviz.lab.experiments.shift import EXPERIMENT

def work(spec, seed, source):
    raise ReadError("cat.jpg", "the file is empty")
    yield

EXPERIMENT = replace(EXPERIMENT, work=work)
"""
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    task = Task("unreadable_experiment", tiny("shift"), 0, None)
    with Workers(1) as workers, pytest.raises(NormvizError, match=r"cat\.jpg: the file is empty"):
        list(workers.run([task]))


def test_a_process_that_dies_is_said():
    with Workers(1) as workers:
        records = run(EXPERIMENTS["shift"], workers=workers)
        next(records)
        workers._processes[0].kill()
        with pytest.raises(NormvizError, match="ended before its work"):
            list(records)


def test_a_visitors_set_runs_where_it_may():
    random = np.random.default_rng(0)
    pixels = [np.full((20, 24, 3), 60 + 90 * (i % 2), np.uint8) for i in range(60)]
    pixels = [one + random.integers(0, 40, one.shape, np.uint8) for one in pixels]
    own = OwnImages.of([image_of(one) for one in pixels], ["dark", "light"] * 30)
    result = result_of(EXPERIMENTS["shift"], tiny("shift"), own, workers=2)
    assert result.source == "own images (60 in 2 classes)"
    # Two classes that differ in brightness: the dataset's numbers tell them apart at once.
    accuracy, spread = result.tables["accuracy"]["ds_z"][0][3]
    assert accuracy > 80 and spread is not None
    photos = result_of(EXPERIMENTS["shift"], tiny("shift"), workers=2)
    assert photos.tables["accuracy"]["ds_z"][0][3][0] < 60


def test_the_mean_image_of_a_visitors_images_varies_where_they_are_aligned():
    """Frames around what differs from image to image stand still; the same images rolled do not."""
    random = np.random.default_rng(0)
    pixels = random.integers(60, 120, (80, 16, 16, 3), np.uint8)
    pixels[:, :4] = 250
    pixels[:, -4:] = 10
    labels = ["a", "b"] * 40
    pixels[1::2, 6:10, 6:10] += 60
    rolled = [np.roll(one, random.integers(16, size=2), (0, 1)) for one in pixels]
    spec = EXPERIMENTS["mean_image"].spec
    spec = dataclasses.replace(spec, seeds=(0, 1, 2, 3), rates=(0.01, 0.03), steps=60)
    found = {}
    for name, own in (("aligned", pixels), ("rolled", rolled)):
        images = OwnImages.of([image_of(one) for one in own], labels)
        result = result_of(EXPERIMENTS["mean_image"], spec, images, workers=0)
        assert set(result.tables) == {"own"}
        found[name] = {verdict.claim: verdict for verdict in result.verdicts}
        (gain,) = found[name][4].effects
        assert gain.what.endswith("these images")
    assert found["aligned"][13].effects[1].finding == "more"
    assert "by 0.9" in found["aligned"][13].because
    assert found["rolled"][13].effects[1].mean < 0.3


def test_a_mean_image_on_own_images_gets_its_words():
    def said(gain, relief, right=60.0):
        return verdicts(
            "mean_image",
            [
                {
                    "own": {
                        "relief": relief + 0.001 * n,
                        "accuracy": {"ds_mean": right, "px_mean": right + gain + 0.1 * n},
                        "chance": 50.0,
                    }
                }
                for n in range(6)
            ],
        )

    assert [v.word for v in said(9, 0.7).values()] == ["holds", "holds"]
    assert said(-4.5, 0.7)[4].word == "fails"
    assert said(0, 0.7)[13].word == "holds only for the look of these images"
    assert said(0, 0.05)[13].word == "fails"
    unlearned = said(0, 0.7, right=51.0)
    assert [v.word for v in unlearned.values()] == ["not decided"] * 2
    assert "Of these images: No network has learned" in unlearned[4].because
    # What the mean image looks like needs no learning.
    assert "varies, in dataset stds, by 0.70" in unlearned[13].because


def test_the_light_put_on_a_visitors_images_is_the_label():
    """Their own labels say nothing; black ones are left out; half are half as bright."""
    random = np.random.default_rng(0)
    pixels = [random.integers(40, 200, (16, 16, 3), np.uint8) for _ in range(40)]
    pixels += [np.zeros((16, 16, 3), np.uint8)] * 10
    own = OwnImages.of([image_of(one) for one in pixels], ["a", "b"] * 25)
    made = signal.any_surfaces(own, 0, 12, 7)
    assert made.train.shape == (12, 16, 16, 3) and made.test.shape == (6, 16, 16, 3)
    for images, labels in ((made.train, made.train_labels), (made.test, made.test_labels)):
        assert labels.mean() == 0.5
        means = images.mean(axis=(1, 2, 3))
        assert np.allclose(means[labels == 1], signal.REFLECTANCE, rtol=0.01)
        assert np.allclose(means[labels == 0], signal.REFLECTANCE / 2, rtol=0.01)
    result = result_of(EXPERIMENTS["signal"], tiny("signal"), own, workers=0)
    assert result.source.startswith("own images") and "photos" not in result.tables
    assert len(result.verdicts[0].effects) == 3
    # Strokes on black, a third of the pixels: highlights are cut, and the mean is kept.
    strokes = [np.where(random.random((16, 16, 1)) < 0.33, one, 0) for one in pixels[:40]]
    drawn = OwnImages.of([image_of(one.astype(np.uint8)) for one in strokes], ["a", "b"] * 20)
    made = signal.any_surfaces(drawn, 0, 12, 6)
    bright = made.train[made.train_labels == 1]
    assert np.allclose(bright.mean(axis=(1, 2, 3)), signal.REFLECTANCE, rtol=0.001)
    assert bright.max() == 1
    black = [image_of(np.full((16, 16, 3), level, np.uint8)) for level in (0, 1) * 10]
    nearly = OwnImages.of(black, ["a", "b"] * 10)
    with pytest.raises(ParameterError, match="nearly all black, cannot be brought to its light"):
        result_of(EXPERIMENTS["signal"], tiny("signal"), nearly, workers=0)


def test_equal_values_share_their_rank():
    x, tied = np.arange(5.0), np.array([0.0, 0.0, 0.0, 0.0, 25.0])
    assert variance_split._related(x, tied) == pytest.approx(1 / np.sqrt(2))
    assert variance_split._related(x[::-1], tied) == pytest.approx(-1 / np.sqrt(2))
    assert variance_split._related(x, np.zeros(5)) == 0
    assert variance_split._related(x, x**3) == pytest.approx(1)


def test_the_share_of_nuisance_says_nothing_where_own_classes_are_not_learned():
    point = {"set": "own images", "sigma": 0.0, "share": 0.5, "correlation": 0.5, "gap": 1.0}
    made = point | {"set": "surfaces 1 EV apart", "right": 90.0, "chance": 50.0}
    for right, word in ((52.0, "not decided"), (80.0, "holds")):
        points = [point | {"right": right, "chance": 50.0}, made]
        seeds = [{"points": points, "share": 0.9 + 0.01 * n, "plain": 0.1} for n in range(4)]
        assert verdicts("variance_split", seeds)[15].word == word


def test_another_set_may_be_given_where_it_makes_sense():
    result = result_of(EXPERIMENTS["shift"], tiny("shift"), DIGITS, workers=0)
    assert result.source == "handwritten digits"


def test_closing_is_quiet_while_a_large_task_is_on_its_way():
    workers, said = Workers(1), []

    def work():
        try:
            list(workers.run([bytes(8_000_000)]))
        except NormvizError as error:
            said.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    # The process is still loading, so the pipe to it is full.
    time.sleep(0.2)
    workers.close()
    thread.join(20)
    assert said == ["A process of the lab ended before its work. Run it again."]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("colour", "needs colour images; handwritten digits are grey"),
        ("channel_gradients", "needs colour images"),
    ],
)
def test_a_set_that_makes_no_sense_is_refused(key, said):
    with pytest.raises(ParameterError, match=said):
        next(run(EXPERIMENTS[key], tiny(key), DIGITS, workers=0))


@pytest.mark.parametrize("seeds", [(), (3,), (1, 1), (0, -1), (0, 2**32), (0, 1.5), range(101)])
def test_seeds_are_checked(seeds):
    with pytest.raises(ParameterError, match="2 to 100 different seeds"):
        dataclasses.replace(EXPERIMENTS["shift"].spec, seeds=tuple(seeds))


def test_every_claim_has_its_experiment():
    assert list(CLAIMS) == list(range(1, 16))
    for claim in CLAIMS.values():
        assert claim.number in EXPERIMENTS[claim.experiment].claims
        for key in claim.also:
            assert claim.number in EXPERIMENTS[key].claims
        assert claim.link.startswith("https://stats.stackexchange.com/")
    tested = {number for one in EXPERIMENTS.values() for number in one.claims}
    assert tested == set(CLAIMS)
    assert all(one.limits for one in EXPERIMENTS.values())


def test_precomputed_results_are_of_the_specs_as_they_are():
    stored = precomputed()
    assert set(stored.results) == set(EXPERIMENTS)
    assert stored.date and stored.versions["numpy"]
    for key, experiment in EXPERIMENTS.items():
        spec = json.loads(json.dumps(dataclasses.asdict(experiment.spec)))
        assert stored.results[key]["spec"] == spec
        assert [one["claim"] for one in stored.results[key]["verdicts"]] == list(experiment.claims)


def verdicts(key, seeds):
    experiment = EXPERIMENTS[key]
    return {one.claim: one for one in experiment.conclude(experiment.spec, seeds).verdicts}


def jittered(number, size=0.02):
    return number + size * np.random.default_rng(int(1000 * abs(number))).normal()


# What the work of a seed would report, with effects planted or none, and the word to be found.


def conditioning_seed(seed, mean=1.0, image=1.0):
    random = np.random.default_rng(seed)

    def of(condition, stable, loss=1.0):
        return {
            "condition": condition * np.exp(0.05 * random.normal()),
            "largest": 1.0,
            "stable": stable * np.exp(0.05 * random.normal()),
            "shared_loss": 1.0,
            "accuracy": 50.0,
            "own_loss": loss,
        }

    spec = EXPERIMENTS["conditioning"].spec
    found = {key: of(1000.0, 1.0) for key in spec.methods}
    for key in ("ds_mean", "ds_z"):
        found[key] = of(1000.0 / mean, mean)
    found["img_z"] = of(1000.0 / image, 1.0, 1.0 - 0.2 * (image > mean))
    return found


@pytest.mark.parametrize(
    ("mean", "image", "first", "second"),
    [
        (5.0, 50.0, "holds", "fails"),
        (5.0, 1.0, "holds", "holds"),
        (1.0, 1.0, "fails", "fails"),
        (0.2, 1.0, "fails", "fails"),
    ],
)
def test_conditioning_says_what_was_planted(mean, image, first, second):
    found = verdicts("conditioning", [conditioning_seed(s, mean, image) for s in range(6)])
    assert (found[1].word, found[2].word) == (first, second)


def shift_seed(seed, night, day):
    random = np.random.default_rng(seed)
    spec = EXPERIMENTS["shift"].spec
    flat = [[50.0 + random.normal() for _ in spec.shifts] for _ in spec.sigmas]
    found = {key: [list(row) for row in flat] for key in spec.methods} | {"chance": 10.0}
    for at, gap in ((0, night), (3, day)):
        found["img_z"][0][at] += gap + random.normal()
    return found


@pytest.mark.parametrize(
    ("night", "day", "word"),
    [
        (30, 30, "holds"),
        (30, -20, "holds only when the light shifts"),
        (0, 0, "fails"),
        (-30, 0, "fails"),
        (10, 0, "not decided"),
    ],
)
def test_shift_says_what_was_planted(night, day, word):
    seeds = [shift_seed(seed, night, day) for seed in range(6)]
    if word == "not decided":
        for number, one in enumerate(seeds):
            one["img_z"][0][0] += 30 * (-1) ** number
    assert verdicts("shift", seeds)[6].word == word


@pytest.mark.parametrize(
    ("norm", "padded", "word"),
    [
        (0.001, 0.3, "holds only without zero padding"),
        (0.001, 0.001, "holds"),
        (0.3, 0.3, "fails"),
    ],
)
def test_batch_norm_says_what_was_planted(norm, padded, word):
    def net(apart, number):
        return {
            "apart": apart * (1 + 0.05 * number),
            "apart_at_start": apart,
            "final": {"raw1": [1.0] * 5},
            "curves": {"raw1": [1.0]},
        }

    seeds = [
        {"plain": net(0.3, n), "norm": net(norm, n), "padded": net(padded, n)} for n in range(4)
    ]
    assert verdicts("batch_norm", seeds)[8].word == word


@pytest.mark.parametrize(
    ("divided", "subtracted", "word"),
    [
        (50, 80, "holds only when the std is divided by as well"),
        (50, 50, "holds"),
        (80, 80, "fails"),
    ],
)
def test_signal_says_what_was_planted(divided, subtracted, word):
    spec = EXPERIMENTS["signal"].spec
    levels = {"raw1": 98, "ds_z": 98, "img_mean": subtracted, "img_z": divided}
    seeds = [
        {
            name: {key: [level + n % 3] * len(spec.sigmas) for key, level in levels.items()}
            for name in ("made", "photos")
        }
        for n in range(6)
    ]
    assert verdicts("signal", seeds)[7].word == word


@pytest.mark.parametrize(
    ("sgd", "adam", "word"),
    [(0.5, 0.5, "holds"), (0.5, 0.0, "holds only with plain SGD"), (0.0, 0.0, "fails")],
)
def test_one_rate_says_what_was_planted(sgd, adam, word):
    spec = EXPERIMENTS["one_rate"].spec

    def of(methods, rates, gain, n):
        return {
            key: [2.0 - gain * (key != "raw1") + 0.01 * n * (key != "raw1") for _ in rates]
            for key in methods
        }

    seeds = [
        {
            "sgd": of(spec.methods, spec.rates, sgd, n),
            "adam": of(spec.adam_methods, spec.adam_rates, adam, n),
        }
        for n in range(4)
    ]
    assert verdicts("one_rate", seeds)[3].word == word


@pytest.mark.parametrize(("gain", "word"), [(0.5, "fails"), (0.0, "holds"), (-0.5, "holds")])
def test_full_batch_says_what_was_planted(gain, word):
    seeds = [
        {
            "plain": {"loss": 1.0 + 0.01 * n, "curve": [1.0]},
            "norm": {"loss": 1.0 - gain, "curve": [1.0]},
        }
        for n in range(4)
    ]
    assert verdicts("full_batch", seeds)[11].word == word


@pytest.mark.parametrize(("ratio", "word"), [(1.02, "holds"), (1.6, "fails"), (1.1, "not decided")])
def test_channel_gradients_say_what_was_planted(ratio, word):
    spec = channel_gradients.EXPERIMENT.spec
    seeds = [
        {
            key: {"ratio": ratio + 0.01 * (-1) ** n, "shares": [0.3, 0.3, 0.4]}
            for key in spec.methods
        }
        for n in range(6)
    ]
    if word == "not decided":
        for n, one in enumerate(seeds):
            one["ds_mean"]["ratio"] += 0.1 * (-1) ** n
    assert verdicts("channel_gradients", seeds)[9].word == word


@pytest.mark.parametrize(
    ("crops", "digits", "relief", "sharing", "which"),
    [
        (0.0, 0.0, 0.7, "fails", "holds only for the look of aligned digits"),
        (9.0, 9.0, 0.7, "holds", "holds"),
        (-9.0, -9.0, 0.7, "fails", "holds"),
        (0.0, 9.0, 0.7, "holds only on aligned digits", "holds only on aligned digits"),
        (9.0, 0.0, 0.7, "holds only on random crops", "holds only on random crops"),
        (0.0, 0.0, 0.05, "fails", "fails"),
        (None, 0.0, 0.7, "not decided", "not decided"),
    ],
)
def test_mean_image_says_what_was_planted(crops, digits, relief, sharing, which):
    def one(gain, own, n):
        gain = 30.0 * (-1) ** n if gain is None else gain
        accuracy = {"ds_mean": 60.0, "px_mean": 60.0 + gain + 0.1 * n}
        return {"relief": own + 0.001 * n, "accuracy": accuracy, "chance": 10.0}

    seeds = [{"crops": one(crops, 0.03, n), "digits": one(digits, relief, n)} for n in range(6)]
    found = verdicts("mean_image", seeds)
    assert mean_image.EXPERIMENT.claims == (4, 13)
    assert (found[4].word, found[13].word) == (sharing, which)


@pytest.mark.parametrize(
    ("dataset", "image", "channel", "word"),
    [
        (40, 30, 0, "holds only for each channel of each image by itself"),
        (40, 0, 0, "holds only for an image's own numbers"),
        (40, 40, 40, "fails"),
        # Where no colour costs the dataset's numbers anything there is nothing to normalize.
        (0, 0, 0, "not decided"),
        (0, 0, 40, "not decided"),
    ],
)
def test_colour_says_what_was_planted(dataset, image, channel, word):
    lost = {"ds_z": dataset, "img_z": image, "imgch_z": channel}
    seeds = [
        {key: [60.0 - own + n, 60.0, 60.0, 60.0, 60.0 - own] for key, own in lost.items()}
        | {"chance": 10.0}
        for n in range(6)
    ]
    assert verdicts("colour", seeds)[14].word == word


@pytest.mark.parametrize(
    ("random", "trained", "word"),
    [(0.0, -0.2, "fails"), (0.2, 0.2, "holds"), (0.2, 0.0, "holds only for random filters, ÷ 255")],
)
def test_day_night_says_what_was_planted(random, trained, word):
    def of(more, n):
        day = 0.5 + more + 0.002 * n
        one = {"day": day, "night": 0.5, "day_size": 1.0, "night_size": 0.5}
        return dict.fromkeys(("raw1", "ds_z", "img_z"), one)

    seeds = [
        {"random": of(random, n), "trained": of(trained, n), "linear_gain": 8.0} for n in range(4)
    ]
    assert verdicts("day_night", seeds)[5].word == word


@pytest.mark.parametrize(
    ("slope", "error", "word"),
    [(-0.5, 0.1, "holds"), (-0.5, 0.5, "holds only for large batches"), (-0.2, 0.1, "fails")],
)
def test_batch_statistics_say_what_was_planted(slope, error, word):
    spec = EXPERIMENTS["batch_statistics"].spec
    rows = [error] * len(spec.sizes)
    seeds = [
        {
            "mean_error": [one + 0.001 * n for one in rows],
            "std_error": rows,
            "slope": slope + 0.001 * n,
            "between": 0.5,
            "design_effect": 200.0,
            "worth": 1.2,
        }
        for n in range(6)
    ]
    assert verdicts("batch_statistics", seeds)[10].word == word


@pytest.mark.parametrize(
    ("one", "many", "word"), [(60, 100, "holds"), (100, 100, "fails"), (60, 60, "fails")]
)
def test_one_step_says_what_was_planted(one, many, word):
    seeds = [{"downhill": [one - n, 80, 90, many], "falls": [50, 60, 70, 80]} for n in range(6)]
    assert verdicts("one_step", seeds)[12].word == word


@pytest.mark.parametrize(("share", "word"), [(0.9, "holds"), (0.0, "fails"), (-0.9, "fails")])
def test_variance_split_says_what_was_planted(share, word):
    point = {"set": "photos", "sigma": 0.0, "share": 0.5, "correlation": 0.5, "gap": 1.0}
    point |= {"right": 60.0, "chance": 10.0}
    seeds = [{"points": [point], "share": share + 0.01 * n, "plain": 0.1} for n in range(4)]
    assert verdicts("variance_split", seeds)[15].word == word


@pytest.mark.parametrize(
    ("share", "plain", "word", "said"),
    [
        (0.9, (0.1, 0.1, 0.1, 0.1), "holds", "That tells less."),
        (0.9, (0.9, 0.9, 0.9, 0.9), "fails", "the plainer number tells as much."),
        (0.6, (0.98, 0.98, 0.98, 0.98), "fails", "the plainer number tells more."),
        (0.1, (0.1, 0.1, 0.1, 0.1), "fails", "with 0.10."),
        (0.9, (0.1, 0.9, 0.2, 0.8), "not decided", "tells better: 0.415 (−0.32 to 1)."),
    ],
)
def test_variance_split_must_tell_better_than_the_plain_correlation(share, plain, word, said):
    point = {"set": "photos", "sigma": 0.0, "share": 0.5, "correlation": 0.5, "gap": 1.0}
    point |= {"right": 60.0, "chance": 10.0}
    seeds = [
        {"points": [point], "share": share + 0.01 * n, "plain": one} for n, one in enumerate(plain)
    ]
    found = verdicts("variance_split", seeds)[15]
    assert found.word == word
    assert word == "not decided" or found.because.endswith(said)


def test_sets_differ_in_signal_and_nuisance_each_by_itself():
    spec = dataclasses.replace(EXPERIMENTS["variance_split"].spec, per_class=40)
    sets = {
        (name, sigma): split_of_images(images.train, images.train_labels)
        for name, sigma, images in variance_split._sets(spec, 0, EXPERIMENTS["shift"].source)
    }
    little, much = sets["surfaces 1 EV apart", 0.0], sets["surfaces 3 EV apart", 0.0]
    assert little.share < 0.01 and much.share < 0.01
    assert much.correlation > little.correlation + 0.3
    assert sets["surfaces 1 EV apart", 1.0].share > sets["surfaces 3 EV apart", 1.0].share + 0.3


def test_where_nothing_is_learned_nothing_is_compared():
    def flat(key, shape):
        spec = EXPERIMENTS[key].spec
        rows = {one: np.full(shape(spec), 51.0).tolist() for one in spec.methods}
        return [rows | {"chance": 50.0} for _ in range(6)]

    for key, claim, shape in (
        ("shift", 6, lambda spec: (len(spec.sigmas), len(spec.shifts))),
        ("nuisance", 6, lambda spec: (len(spec.sigmas),)),
        ("colour", 14, lambda spec: (len(spec.shifts),)),
    ):
        found = verdicts(key, flat(key, shape))[claim]
        assert found.word == "not decided"
        assert found.because.startswith(
            "No network has learned these classes (right in 51 % at best, chance is 50 %)"
        )


@pytest.mark.parametrize(
    ("gaps", "word"),
    [
        ((20, 20, 20), "holds"),
        ((-20, 0, 20), "holds only where light is spread by 3 EV or more"),
        ((-20, -10, 0), "fails"),
        # What is below a relevant gain, but may be a relevant loss, is no gain.
        ((-20, -4, 3), "fails"),
        ((-20, -4, 4.5), "not decided"),
        # "Or more" and "or less" only where it is so.
        ((20, -20, -20), "holds only where light is spread by 0 EV"),
        ((0, 20, -20), "holds only where light is spread by 1 EV"),
        ((20, 0, 20), "holds only where light is spread by 0 and 3 EV"),
    ],
)
def test_nuisance_says_what_was_planted(gaps, word):
    level = [50.0] * len(gaps)
    seeds = [
        {"ds_z": level, "img_mean": level, "img_z": [50 + g + 2 * (-1) ** n for g in gaps]}
        | {"chance": 10.0}
        for n in range(10)
    ]
    found = verdicts("nuisance", seeds)[6]
    assert found.word == word
    assert ("no spread is there a gain of 5 points" in found.because) == (word == "fails")


@pytest.mark.parametrize(
    ("plain", "norm", "word"),
    [(4.0, 1.0, "holds only without batch norm"), (4.0, 4.0, "holds"), (1.0, 1.0, "fails")],
)
def test_curvature_says_what_was_planted(plain, norm, word):
    def of(ratio, n):
        return {"raw1": ratio * (1 + 0.01 * n), "ds_mean": 1.0, "ds_z": 1.0, "img_z": 1.0}

    seeds = [{"plain": of(plain, n), "norm": of(norm, n)} for n in range(4)]
    assert verdicts("curvature", seeds)[1].word == word


def test_surfaces_tell_their_albedo_by_nothing_but_light():
    own = signal.made_surfaces(0, 40, 10)
    mean = own.train.mean(axis=(1, 2, 3))
    assert mean[own.train_labels == 1] == pytest.approx(0.2, rel=0.02)
    assert mean[own.train_labels == 0] == pytest.approx(0.1, rel=0.02)
    contrast = own.train.std(axis=(1, 2, 3)) / mean
    assert contrast[own.train_labels == 1].mean() == pytest.approx(
        contrast[own.train_labels == 0].mean(), rel=0.02
    )
    assert (own.train_labels.sum(), len(own.train_labels)) == (60, 120)


def test_work_is_found_by_its_module_alone():
    task = Task("normviz.lab.experiments.batch_statistics", tiny("batch_statistics"), 0, None)
    assert [record.kind for record in work_of(task)][-1] == "seed"
