"""The handwritten digits of scikit-learn: 1,797 real images of 8x8 pixels, split 1,297 / 500 once and for all.

Usage: `python examples/digits/data.py digits.npz [digits-train.npz]` writes the test set, ready for
`nmtool sweep --data digits.npz`, and the training set, for `nmtool distill`.
"""

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


class Split(NamedTuple):
    """Images as float32 [count, 1, 8, 8] in [0, 1], and their digits as int64 [count]."""

    image: np.ndarray
    label: np.ndarray


def split() -> tuple[Split, Split]:
    """The training set and the test set: stratified by digit, seeded, so always the same."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16.0).astype(np.float32).reshape(-1, 1, 8, 8)
    parts = train_test_split(images, labels.astype(np.int64), test_size=500, stratify=labels, random_state=0)
    train_image, test_image, train_label, test_label = parts
    return Split(train_image, train_label), Split(test_image, test_label)


if __name__ == "__main__":
    for target, part in zip(map(Path, sys.argv[1:]), reversed(split()), strict=False):
        target.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(target, **part._asdict())
        print(f"wrote {len(part.label)} images: {target}")
