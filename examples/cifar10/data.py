"""CIFAR-10 for nmtool: train.npz and test.npz with uint8 images [N, 32, 32, 3] and labels int64 [N].

Usage: `python examples/cifar10/data.py SOURCE FOLDER`. SOURCE is the folder cifar-10-batches-py of the original
archive, or a folder of sheets: train-*.webp and test-*.webp, 50 x 50 images each, and labels.npz.
"""

import pickle
import sys
from pathlib import Path

import numpy as np
from PIL import Image


def batches(source: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of the original archive."""
    paths = sorted(source.glob("data_batch_*" if part == "train" else "test_batch"))
    loaded = [pickle.loads(path.read_bytes(), encoding="bytes") for path in paths]
    images = np.concatenate([each[b"data"] for each in loaded]).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return images, np.concatenate([each[b"labels"] for each in loaded])


def sheets(source: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of sheets, row by row."""
    loaded = [np.asarray(Image.open(path)) for path in sorted(source.glob(f"{part}-*.webp"))]
    images = np.concatenate([each.reshape(50, 32, 50, 32, 3).transpose(0, 2, 1, 3, 4) for each in loaded])
    return images.reshape(-1, 32, 32, 3), np.load(source / "labels.npz")[part]


if __name__ == "__main__":
    source, folder = map(Path, sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    read = sheets if (source / "labels.npz").exists() else batches
    for part in ("train", "test"):
        images, labels = read(source, part)
        np.savez(folder / f"{part}.npz", input=np.ascontiguousarray(images), label=labels.astype(np.int64))
        print(f"wrote {len(labels)} images: {folder / part}.npz")
