"""Run the default race and keep it: python -m normviz.lab.precompute_race

Writes ``normviz/lab/race.json``, with the date and the versions that decide its digits.
"""

from __future__ import annotations

import json

from normviz.lab.contest import RaceSpec, race
from normviz.lab.course import FILE, Course, sentence
from normviz.lab.labelled import PHOTO_PATCHES
from normviz.lab.precomputed import made_with


def main() -> None:
    course = Course(RaceSpec(), PHOTO_PATCHES.name)
    for news in race(course.spec):
        course = course.after(news)
    record = {**made_with(), "race": course.to_json()}
    FILE.write_text(json.dumps(record, separators=(",", ":"), allow_nan=False) + "\n")
    print(sentence(course, course.best(), course.spec.methods[0]))


if __name__ == "__main__":
    main()
