"""No definition changes unnoticed: every method against what it gave when it was last looked at."""

from __future__ import annotations

import numpy as np
import pytest

from tests.golden.make import ALL, FILE, PHOTOS, all_rows, stored

GOLDEN = stored()


@pytest.mark.parametrize("key", ALL)
def test_a_method_gives_what_it_gave(key):
    found = all_rows(key)
    for name in PHOTOS:
        assert f"{key}/{name}" in GOLDEN, (
            f"{key} has no golden rows: look at its output, then run python -m tests.golden.make"
        )
        golden = GOLDEN[f"{key}/{name}"]
        reach = np.ptp(golden)
        np.testing.assert_allclose(found[name], golden, rtol=1e-6, atol=1e-6 * reach)


def test_nothing_is_kept_of_methods_that_are_gone():
    assert {name.partition("/")[0] for name in GOLDEN} == set(ALL)
    assert FILE.stat().st_size < 500_000
