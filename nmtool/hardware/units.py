"""Times as people write them."""

import math
import re

from nmtool.errors import UsageError

_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "y": 31557600.0}
_TIME = re.compile(r"\s*([0-9.]+(?:e[+-]?[0-9]+)?)\s*([a-z]*)\s*", re.IGNORECASE)


def seconds(time: str | float) -> float:
    """Seconds of a time such as 3600, "1h" or "1.5 d"; a year has 365.25 days.

    Raises:
        UsageError: it is no such time, or negative.
    """
    hint = f"a time is a number >= 0 with a unit: {', '.join(_SECONDS)}; without one it is in seconds"
    if isinstance(time, str):
        match = _TIME.fullmatch(time)
        try:
            value = float(match[1]) * _SECONDS[match[2].lower() or "s"] if match else math.nan
        except (KeyError, ValueError):
            value = math.nan
    else:
        value = float(time)
    if not math.isfinite(value) or value < 0:
        raise UsageError(f"not a time: {time!r}", hint)
    return value
