"""How often the lab's verdicts call identical methods different, and find a difference there is.

    PYTHONPATH=. python benchmarks/planted.py [--runs 200] [--workers 2]

A run has 6 seeds of its own. The null: the same normalization (dataset's mean and std) twice on the
same images of each seed, each time with a start and batches of its own, so that nothing but chance
is between them; three such pairs are one experiment, corrected for being three. The effect: own
mean and std against the dataset's, trained in steady light and tested 3 EV darker. Both go through
the lab's own effects: significant after Holm's correction, and relevant. Counted are runs in which
any of the three is called different, those in which it would be by significance alone, and those in
which the effect is found. Writes benchmarks/results/planted.json.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from threadpoolctl import threadpool_limits
from tqdm import tqdm

from normviz.lab.evidence import LEVEL, Asked, effects
from normviz.lab.exposure import exposed
from normviz.lab.labelled import PHOTO_PATCHES
from normviz.lab.net import small_net
from normviz.lab.normalizations import fitted
from normviz.lab.optimizers import SGD
from normviz.lab.precomputed import made_with
from normviz.lab.training import trained

RESULTS = Path(__file__).resolve().parent / "results"
SEEDS, PAIRS, RATE, STEPS, BATCH = 6, 3, 0.01, 150, 32
PER_CLASS, TEST_PER_CLASS, DARKER = 60, 40, -3.0
RELEVANT_NULL, RELEVANT_EFFECT = 2.0, 10.0
FIRST = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    with ProcessPoolExecutor(asked.workers) as pool:
        found = list(tqdm(pool.map(one_run, range(asked.runs)), total=asked.runs))
    different, significant, effect = (sum(column) for column in zip(*found, strict=True))
    record = {
        "command": "PYTHONPATH=. python benchmarks/planted.py",
        "runs": asked.runs,
        "seeds_a_run": SEEDS,
        "null_called_different": different,
        "null_significant": significant,
        "effect_found": effect,
        **made_with(),
    }
    print(record)
    (RESULTS / "planted.json").write_text(json.dumps(record, indent=1) + "\n")


def one_run(number: int) -> tuple[bool, bool, bool]:
    first = FIRST + number * SEEDS
    with threadpool_limits(1):
        seeds = [one_seed(seed) for seed in range(first, first + SEEDS)]
    null = effects(
        *(
            Asked(f"pair {pair}", [own[pair] for own, _ in seeds], RELEVANT_NULL, "points")
            for pair in range(PAIRS)
        )
    )
    (effect,) = effects(Asked("darker", [gap for _, gap in seeds], RELEVANT_EFFECT, "points"))
    return (
        any(one.finding in ("more", "less") for one in null),
        any(one.p < LEVEL for one in null),
        effect.finding == "more",
    )


def one_seed(seed: int) -> tuple[list[float], float]:
    """Differences in points: of identical methods, and of own against dataset's in the dark."""
    split = PHOTO_PATCHES.draw(seed, PER_CLASS, TEST_PER_CLASS)
    train = exposed(split.train, 0.0, seed * 2)
    test = exposed(split.test, 0.0, seed * 2 + 1)
    dark = exposed(split.test, DARKER, seed * 2 + 1)
    net = small_net(train.shape[1:], len(split.classes))

    def right(key: str, start: int, images: list) -> list[float]:
        method = fitted(key, train)
        runs = trained(
            net, method(train), split.train_labels, start, (RATE,), STEPS, BATCH, SGD(momentum=0.9)
        )
        return [100 * runs.accuracy(0, method(one), split.test_labels) for one in images]

    # Starts of one seed are no other seed's.
    starts = [seed * 2 * PAIRS + at for at in range(2 * PAIRS)]
    scores = [right("ds_z", start, [test, dark]) for start in starts]
    null = [scores[2 * pair][0] - scores[2 * pair + 1][0] for pair in range(PAIRS)]
    return null, right("img_z", starts[0], [dark])[0] - scores[0][1]


if __name__ == "__main__":
    main()
