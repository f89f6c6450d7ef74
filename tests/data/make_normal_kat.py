"""Write normal_kat.txt: docs/noise-spec.md in plain Python integers and doubles, sharing no code with nmtool."""

import math
import struct
from pathlib import Path

MASK = 0xFFFFFFFF
CASES = [  # seed, stream, trial, draw, first element
    (0, 0, 0, 0, 0),
    (1, 2, 3, 4, 0),
    (-1, 2**56 - 1, 2**32 - 1, 255, 0),
    (0x0123456789ABCDEF, 0x00FEDCBA98765432, 42, 0, 64 * 1000),
    (7, 11, 0, 0, 2**34 - 64),
]


def philox(c, k):
    for _ in range(10):
        p0, p1 = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & MASK, (p0 >> 32) ^ c[3] ^ k[1], p0 & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return c


def float32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def element(seed, stream, trial, draw, e):
    counter = [16 * (e // 64) + e % 16, trial & MASK, stream & MASK, (stream >> 32) * 256 + draw]
    w = philox(counter, [seed & MASK, (seed >> 32) & MASK])
    word = e // 16 % 4
    p = word & 2
    u = float32(float(w[p] | 1)) * 2.0**-32
    a = float32(float(w[p + 1] - 2**32 * (w[p + 1] >> 31))) * 2.0**-31
    wave = math.sin if word & 1 else math.cos
    return w[word], (w[word] >> 8) * 2.0**-24, math.sqrt(-2 * math.log(u)) * wave(math.pi * a)


def main():
    lines = ["# seed stream trial draw element -> word (hexadecimal) uniform normal (float64)"]
    for seed, stream, trial, draw, first in CASES:
        for e in range(first, first + 64, 7):
            word, uniform, normal = element(seed, stream, trial, draw, e)
            lines.append(f"{seed} {stream} {trial} {draw} {e}  {word:08x} {uniform!r} {normal!r}")
    Path(__file__).with_name("normal_kat.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
