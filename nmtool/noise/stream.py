"""Stream numbers: one per physical array (docs/noise-spec.md, "Arguments")."""

import hashlib


def stream_of(name: str) -> int:
    """Return the stream number, 0 <= stream < 2**56, of the array called `name`.

    It depends on the name alone, so adding or removing other layers never changes an array's noise.
    """
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big")
