"""Advice: planted accuracies get the right words, and sets made for it the right answer."""

from __future__ import annotations

import json

import numpy as np
import pytest

from normviz.errors import ParameterError
from normviz.images import image_of
from normviz.lab import OwnImages
from normviz.lab.advice import EXPERIMENT, Advice, AdviceSpec, advise, example
from normviz.lab.experiment import Record
from normviz.lab.normalizations import fitted
from normviz.lab.split import Brightness, Split
from normviz.light import linear_to_srgb

SPEC = AdviceSpec()
CARRIES = Brightness(Split(0.5, 0.1, 0.4), 0.8, (0.7, 0.9), 200, 4, 0)
SAYS_NOTHING = Brightness(Split(0.5, 0.5, 0.0), 0.0, (0.0, 0.05), 200, 4, 0)


def planted(own=0.0, other=0.0, level=70.0, brightness=SAYS_NOTHING, scatter=0.5, **more):
    """Advice in which own mean and std gain so many points, here and in other light."""
    rng = np.random.default_rng(0)
    here = SPEC.shifts.index(0.0)
    accuracy = {}
    for key in SPEC.methods:
        gained = more.get(key, (own, other) if key == "img_z" else (0.0, 0.0))
        accuracy[key] = [
            (level + gained[0 if at == here else 1] + rng.normal(0, scatter, 8)).tolist()
            for at in range(len(SPEC.shifts))
        ]
    return Advice(brightness, SPEC, "own images (200 in 4 classes)", (), 4, accuracy, 5.0)


@pytest.mark.parametrize(
    ("advice", "said", "suits"),
    [
        (planted(-21, brightness=CARRIES),
         "Brightness carries the label here: keep dataset statistics; each image's own would cost "
         "21", "ds_z"),
        (planted(-21), "Keep dataset statistics; each image's own would cost 21", "ds_z"),
        (planted(9, 15), "Normalize each image by its own mean and std: it gains 9", "img_z"),
        (planted(0, 15), "if light will change: it gains 15", "img_z"),
        (planted(0, -15), "Keep dataset statistics if light will change", "ds_z"),
        (planted(), "Either will do: no difference that matters", None),
        (planted(scatter=9.0), "No difference that these runs can show", None),
        (planted(-9, level=26.0), "No advice: the small network learns nothing", None),
    ],
)  # fmt: skip
def test_planted_accuracies_get_their_words(advice, said, suits):
    assert said in advice.headline
    assert advice.suits == suits
    assert advice.words()[0] == advice.headline
    assert all(sentence.endswith(".") for sentence in advice.words())
    record = json.loads(json.dumps(advice.to_dict(), allow_nan=False))
    assert Advice.of(record).words() == advice.words()


def test_effects_are_paired_and_corrected_over_all():
    advice = planted(5, 3)
    found = advice.effects
    assert set(found) == {(k, w) for k in SPEC.methods if k != "ds_z" for w in ("own", "other")}
    accuracy = {key: np.array(own) for key, own in advice.accuracy.items()}
    gained = accuracy["img_z"] - accuracy["ds_z"]
    assert found["img_z", "own"].mean == pytest.approx(gained[2].mean())
    assert found["img_z", "other"].mean == pytest.approx(gained[[0, 1, 3, 4]].mean())
    pairs = gained[[0, 1, 3, 4]].mean(axis=0)
    half = 2.3646 * pairs.std(ddof=1) / np.sqrt(8)
    assert found["img_z", "other"].high - found["img_z", "other"].mean == pytest.approx(
        half, rel=1e-3
    )


def test_other_methods_are_named_where_they_differ():
    said = planted(lcn=(6, 0), raw1=(-8, -8)).words()
    assert any(one.startswith("Local contrast: gain of ") for one in said)
    assert any(one.startswith("Levels ÷ 255: loss of ") and "other light" in one for one in said)
    assert not any(one.startswith("Own mean subtracted") for one in said)


def test_the_headline_names_a_third_method_that_is_right_more_often_than_both():
    def ends(advice):
        return advice.headline.partition("; but ")[2]

    assert ends(planted(-21, lcn=(6, 0))).startswith("“Local contrast” gains 6")
    # More than the dataset's is not enough where the image's own are as good, or nearly.
    assert ends(planted(9, lcn=(6, 0))) == "" == ends(planted(9, lcn=(10, 0)))
    assert ends(planted(9, lcn=(20, 0))).startswith("“Local contrast” gains 11")
    # Nor where it loses in other light, or the table does not say the same.
    assert ends(planted(0, 20, raw1=(6, -30))) == ""
    assert "in the images' own light" in ends(planted(0, 20, raw1=(6, 0)))
    # Nor is a gain that these runs do not show.
    assert ends(planted(scatter=9.0, lcn=(6, 0))) == ""


def test_without_labels_the_split_is_all_that_is_said():
    bare = Advice(Brightness(Split(0.7, 0.3, 0.0), None, None, 50, 0, 0))
    assert bare.headline.startswith("30 % of the variance lies between images")
    assert "between the 50 images" in bare.words()[1] and "only labels can tell" in bare.words()[0]
    labelled = Advice(CARRIES)
    assert "Classes explain 80 %" in labelled.headline
    assert "only a race can tell" in labelled.headline and len(labelled.words()) == 3
    assert bare.suits is None and "accuracy_percent" not in bare.to_dict()


def test_images_without_any_difference_have_nothing_to_split():
    for explained, interval, classes in ((None, None, 0), (0.0, (0.0, 1.0), 2)):
        even = Brightness(Split(0.0, 0.0, 0.0), explained, interval, 30, 0, classes)
        said = Advice(even, refused="No race can be run: all the same.").words()
        assert said[0].startswith("All images are of one and the same brightness")
        assert not any("%" in line for line in said)


def test_few_images_get_no_interval():
    few, many = (
        Advice(Brightness(Split(0.1, 0.0, 0.9), 1.0, (1.0, 1.0), count, 2, 2)).words()
        for count in (5, 20)
    )
    assert any("5 images are too few to say how surely" in line for line in few)
    assert not any("95 % interval" in line for line in few)
    assert any("95 % interval 100 % to 100 %" in line for line in many)


def test_what_is_not_clear_in_other_light_is_a_whole_sentence():
    said = planted(other=0.3).words()
    line = next(one for one in said if one.startswith("In light that training did not show"))
    assert "each image's own make no " in line and ":" not in line


def textures(contrast, darkest=0.0, seed=1, side=20, count=60):
    """Stripes along or across, in light that differs by image: told apart by contrast alone."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        for label in ("along", "across"):
            wave = contrast * np.sign(np.sin(np.arange(side) * 1.3 + rng.uniform(0, 6)))
            made = wave[:, None] if label == "along" else wave[None, :]
            made = 100 + np.broadcast_to(made, (side, side)) + rng.normal(0, 10, (side, side))
            yield label, made * 2 ** rng.uniform(-darkest, 1)


def own_of(pictures):
    images, labels = [], []
    for label, values in pictures:
        pixels = np.clip(values, 0, 255).astype(np.uint8)[..., np.newaxis]
        images.append(image_of(np.repeat(pixels, 3, axis=2)))
        labels.append(label)
    return OwnImages.of(images, labels)


def advice_of(own, brightness=SAYS_NOTHING, **spec):
    spec = AdviceSpec(**{"seeds": (0, 1, 2, 3), **spec})
    *records, last = advise(brightness, own, spec, workers=0)
    assert all(isinstance(one, Record) for one in records)
    return last


def test_where_brightness_is_the_label_own_statistics_cost():
    rng = np.random.default_rng(0)
    pictures = [
        (label, 70 + 70 * (label == "light") + rng.normal(0, 20, (20, 20)))
        for _ in range(40)
        for label in ("dark", "light")
    ]
    advice = advice_of(own_of(pictures), CARRIES)
    assert advice.headline.startswith("Brightness carries the label here: keep dataset statistics")
    assert advice.mean("ds_z", 2) > 95 and advice.mean("img_z", 2) < 70
    assert advice.source == "own images (80 in 2 classes)" and advice.chance == 50


def test_where_light_varies_own_statistics_gain():
    advice = advice_of(own_of(textures(6, darkest=4)), methods=("ds_z", "img_z"))
    assert advice.headline.startswith("Normalize each image by its own mean and std: it gains")
    assert advice.suits == "img_z"


def test_what_cannot_be_learned_gets_no_advice():
    rng = np.random.default_rng(2)
    pictures = [(f"{at % 4}", rng.normal(128, 40, (20, 20))) for at in range(80)]
    advice = advice_of(own_of(pictures), methods=("ds_z", "img_z"), steps=40)
    assert not advice.learned and advice.headline.startswith("No advice")
    assert "Enough would be" in advice.words()[-2] and advice.suits is None


def test_unbalanced_classes_count_alike():
    # 190 of one class and 10 of the other, which nothing tells apart: to name always the first
    # would be right in 95 %, but in half of the classes.
    rng = np.random.default_rng(3)
    pictures = [("many" if at >= 10 else "few", rng.normal(128, 40, (16, 16))) for at in range(200)]
    advice = advice_of(own_of(pictures), methods=("ds_z", "img_z"), steps=60)
    assert abs(advice.mean("ds_z", 2) - 50) < 12
    assert any("from 10 to 190 images" in one for one in advice.words())


def test_constant_images_run_to_an_answer():
    pictures = [(f"{at % 2}", np.full((9, 9), 40 + 3 * at)) for at in range(40)]
    advice = advice_of(own_of(pictures), methods=("ds_z", "img_z"), steps=20)
    assert advice.headline and json.dumps(advice.to_dict(), allow_nan=False)


def test_methods_are_fitted_on_the_training_images_as_they_are(monkeypatch):
    own, given = own_of(textures(40, count=12)), []

    def noted(key, train):
        given.append(train)
        return fitted(key, train)

    monkeypatch.setattr("normviz.lab.advice.fitted", noted)
    advice_of(own, methods=("ds_z", "img_z"), steps=5, seeds=(6, 7))
    spec = AdviceSpec()
    for seed, train in zip((6, 6, 7, 7), given, strict=True):
        linear = own.draw(seed, spec.per_class, spec.test_per_class).train
        assert np.array_equal(train, np.rint(255 * linear_to_srgb(linear)).astype(np.uint8))


def test_the_same_race_in_processes_and_here():
    own, spec = (
        own_of(textures(40, count=12)),
        AdviceSpec(seeds=(3, 4), methods=("ds_z", "img_z"), steps=10),
    )
    here, there = (list(advise(SAYS_NOTHING, own, spec, workers=n))[-1] for n in (0, 2))
    assert here.accuracy == there.accuracy


def test_the_example_is_of_the_spec_as_it_is():
    date, advice = example()
    assert date and advice.spec == AdviceSpec()
    assert advice.words()[0] == advice.headline and advice.brightness.images == 140
    assert EXPERIMENT.limits in advice.words()[-1]


def test_one_seed_is_refused():
    with pytest.raises(ParameterError, match="2 to 100 different seeds"):
        AdviceSpec(seeds=(1,))
