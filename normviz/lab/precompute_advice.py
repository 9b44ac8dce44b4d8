"""Advise on the bundled labelled scenes and keep it: python -m normviz.lab.precompute_advice

Writes ``normviz/lab/advice.json``, with the date and the versions that decide its digits.
"""

from __future__ import annotations

import json

from normviz.lab.advice import FILE, Advice, advise
from normviz.lab.own_images import OwnImages
from normviz.lab.precomputed import made_with
from normviz.lab.split import brightness_of
from normviz.read import read
from normviz.samples import LABELLED_SET, SAMPLE_FOLDER
from normviz.statistics import scanned


def main() -> None:
    photos = read(SAMPLE_FOLDER / LABELLED_SET)
    *_, last = advise(brightness_of(scanned(photos).rows), OwnImages.of(photos))
    assert isinstance(last, Advice)
    record = {**made_with(), "advice": last.to_dict()}
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    FILE.write_text(text + "\n", encoding="utf-8")
    print("\n".join(last.words()))


if __name__ == "__main__":
    main()
