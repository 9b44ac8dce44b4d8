import numpy as np
import pytest

from normviz.inspection.candidates import APART, Candidate, candidates, families, separation
from normviz.presets import PRESETS


def test_every_preset_is_a_candidate_in_both_orders():
    found = [(one.key, one.order) for one in candidates(3)]
    for key, preset in PRESETS.items():
        if preset.channels == 3:
            assert (key, "RGB") in found and (key, "BGR") in found
    assert {one.order for one in candidates(1)} == {"grey"}
    assert "mnist" in {one.key for one in candidates(1)}


def test_a_candidate_feeds_what_its_preset_publishes():
    vgg = next(one for one in candidates(3) if (one.key, one.order) == ("vgg", "BGR"))
    red = vgg.fed(np.array([1.0, 0.0, 0.0]))
    assert red == pytest.approx([-103.939, -116.779, 255 - 123.68])


def test_families_hold_each_candidate_once_and_are_close_within():
    found = families(3)
    members = [member for family in found for member in family.members]
    assert len(members) == len(candidates(3))
    assert len({family.key for family in found}) == len(found)
    for family in found:
        assert all(separation(family.head, member) < APART for member in family.members)
    by_key = {family.key: {member.key for member in family.members} for family in found}
    assert {"imagenet", "imagenet_255", "dpn"} <= by_key["imagenet"]
    assert "clip" not in by_key["imagenet"] and "unit" not in by_key["half"]


def test_separation_is_the_largest_difference_in_stds_of_photos():
    one = Candidate("a", "", np.ones(3), np.zeros(3))
    other = Candidate("b", "", np.ones(3), np.array([0.0, 0.2637, 0.0]))
    assert separation(one, other) == pytest.approx(1.0)
    assert separation(one, one.turned()) == np.inf
