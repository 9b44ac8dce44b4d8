"""Rebuild ``digits.npz`` from scikit-learn: python normviz/lab/extract_digits.py

The images are the test half of Optical Recognition of Handwritten Digits (E. Alpaydin and C.
Kaynak, UCI Machine Learning Repository, https://doi.org/10.24432/C50P49, CC BY 4.0), as in the
wheel of scikit-learn: 1,797 images of 8×8, levels 0–16 in uint8, and their digits.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np


def main() -> None:
    # Of the peers' environment: the lab itself does without.
    from sklearn.datasets import load_digits  # type: ignore[import-not-found]

    digits = load_digits()
    np.savez_compressed(
        Path(__file__).with_name("digits.npz"),
        images=digits.images.astype(np.uint8),
        labels=digits.target.astype(np.uint8),
    )


if __name__ == "__main__":
    main()
