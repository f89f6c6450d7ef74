"""The handwritten digits of scikit-learn: 1,797 real images of 8x8 pixels, split 1,297 / 500 once and for all.

Usage: `python examples/digits/data.py digits.npz` writes the test set, ready for `nmtool sweep --data digits.npz`.
"""

import sys
from pathlib import Path
from typing import Any, NamedTuple

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


def test_set() -> dict[str, Any]:
    """The 500 test images under the name of the model's input, and their labels."""
    return split()[1]._asdict()


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(target, **test_set())
    print(f"wrote 500 test images: {target}")
