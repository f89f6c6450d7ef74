"""Numbers as text, the same on the whole page."""

import math
from dataclasses import dataclass

from nmtool.metrics import is_share

DASH = "\u2013"


@dataclass(frozen=True)
class Unit:
    """How the values of a quantity are written.

    Attributes:
        name: of the quantity, as titles have it.
        factor: what values are multiplied with.
        suffix: what follows the number.
        decimals: digits after the point; None for three significant ones.
    """

    name: str
    factor: float = 1.0
    suffix: str = ""
    decimals: int | None = None

    @property
    def title(self) -> str:
        """The name for an axis whose labels have no suffix."""
        return f"{self.name} ({self.suffix.strip()})" if self.suffix else self.name

    def __call__(self, value: float | None) -> str:
        """A value, with a dash where there is none."""
        if value is None or not math.isfinite(value):
            return DASH
        number = value * self.factor
        return f"{figure(number) if self.decimals is None else f'{number:.{self.decimals}f}'}{self.suffix}"

    def interval(self, low: float | None, high: float | None) -> str:
        """The ends of an interval, with a dash where there is none."""
        return DASH if low is None or high is None else f"{self(low).removesuffix(self.suffix)} to {self(high)}"


def unit(metric: str) -> Unit:
    """That of a metric: shares of samples are written in percent."""
    return Unit(metric, 100.0, " %", 2) if is_share(metric) else Unit(metric)


def figure(value: float | None, digits: int = 3) -> str:
    """A number with `digits` significant digits, whole ones with all; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return DASH
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 10**digits else f"{value:#.{digits}g}".rstrip(".")


def percent(share: float | None) -> str:
    """A share in percent; a dash where there is none."""
    return DASH if share is None or not math.isfinite(share) else f"{100 * share:.1f} %"


def count(number: int | None) -> str:
    """A count; a dash where it is not known."""
    return DASH if number is None else f"{number:,}"


def short(digest: str | None) -> str:
    """The beginning of a digest, enough to tell files apart."""
    return digest[:12] if digest else DASH


def last_part(path: str) -> str:
    """The name at the end of a path, of whatever system."""
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2]
