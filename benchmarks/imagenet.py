"""What an ImageNet-sized distillation takes, from the speed of this machine: reading shards, and steps of ResNet-50.

    python benchmarks/imagenet.py [--images 256] [--batch 16] [--steps 4]

Shards hold JPEG files of 500 x 375 pixels with noise in them; ImageNet's have 110 kB on average.
"""

import argparse
import io
import resource
import tarfile
import tempfile
import time
from pathlib import Path

import networks
import numpy as np
from PIL import Image

import nmtool
from nmtool.backends.ports import ports
from nmtool.data import DataOptions, load
from nmtool.data.shards import open_shards
from nmtool.model import load as load_model

IMAGENET = 1_281_167  # training images


def shards(folder: Path, count: int) -> None:
    """Write smooth random images with a little noise, two shards."""
    generator = np.random.default_rng(0)
    for shard in range(2):
        with tarfile.open(folder / f"{shard}.tar", "w") as file:
            for number in range(shard * count // 2, (shard + 1) * count // 2):
                coarse = Image.fromarray(generator.integers(256, size=(24, 32, 3), dtype=np.uint8))
                pixels = np.asarray(coarse.resize((500, 375), Image.Resampling.BICUBIC)).astype(np.int16)
                pixels += generator.integers(-24, 25, size=pixels.shape, dtype=np.int16)
                encoded = io.BytesIO()
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(encoded, "JPEG", quality=85)
                for suffix, content in (("jpg", encoded.getvalue()), ("cls", b"%d" % (number % 1000))):
                    info = tarfile.TarInfo(f"{number:08}.{suffix}")
                    info.size = len(content)
                    file.addfile(info, io.BytesIO(content))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=4)
    options = parser.parse_args()
    model = networks.resnet50()
    with tempfile.TemporaryDirectory(prefix="nmtool-imagenet-") as name:
        folder = Path(name)
        shards(folder, options.images)
        size = sum(path.stat().st_size for path in folder.glob("*.tar")) / options.images
        settings = DataOptions(scale=1 / 255, batch_size=options.batch)
        data = load(folder, ports(load_model(model), any_batch=True), settings)
        start = time.perf_counter()
        open_shards(sorted(folder.glob("*.tar")))
        indexed = (time.perf_counter() - start) / options.images
        start = time.perf_counter()
        data.digest()
        digested = (time.perf_counter() - start) / options.images
        order = np.random.default_rng(1).permutation(options.images)
        start = time.perf_counter()
        for part in np.split(order, options.images // options.batch):
            data.take(part)
        decoded = (time.perf_counter() - start) / options.images
        print(f"shards: {size / 1e3:.0f} kB, index {indexed * 1e6:.0f} us, digest {digested * 1e6:.0f} us, ", end="")
        print(f"reading and preparing {decoded * 1e3:.1f} ms an image on one core")
        moments = [time.perf_counter()]
        nmtool.distill(
            model,
            folder,
            folder / "robust.onnx",
            eta=0.05,
            data_options=DataOptions(scale=1 / 255, limit=options.steps * options.batch),
            settings={"epochs": 1, "batch_size": options.batch, "lr": 1e-9},
            validation=0.0,
            progress=lambda done, total, numbers: moments.append(time.perf_counter()) if numbers else None,
        )
        step = np.median(np.diff(moments[1:]))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        speed = options.batch / step
        print(f"distill: {step:.1f} s a step of {options.batch}, {speed:.1f} images/s, {peak:.1f} GB at most")
        minutes = IMAGENET * digested / 60
        hours = IMAGENET / speed / 3600
        print(f"ImageNet: {IMAGENET * indexed:.0f} s index, {minutes:.0f} min digest, {hours:.0f} h an epoch")


if __name__ == "__main__":
    main()
