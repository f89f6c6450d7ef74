"""Additive Gaussian noise: the model of "Noisy Machines"."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from nmtool.errors import UsageError
from nmtool.noise.base import Parameter, Stage, WeightStatistics, require_non_negative, root_mean_square


@dataclass(frozen=True)
class Gaussian:
    """W + N(0, sigma^2), independent for each weight, with sigma = eta * (max W - min W).

    Source: Zhou, Kadambi, Mattina, Whatmough 2020, "Noisy Machines" (arXiv:2001.04974). Others state sigma relative to
    max |W| (Joshi et al. 2020) or to the standard deviation of W; for weights symmetric about zero the same eta is half
    the noise relative to max |W| that it is relative to the range.

    Attributes:
        eta: sigma as a multiple of the unit, without unit itself, >= 0.
        relative_to: the unit: "range" (max W - min W), "max" (max |W|) or "std" (standard deviation of W).
    """

    name: ClassVar[str] = "gaussian"
    eta: float = 0.05
    relative_to: Literal["range", "max", "std"] = "range"

    def __post_init__(self) -> None:
        require_non_negative(self.name, eta=self.eta)
        if self.relative_to not in ("range", "max", "std"):
            raise UsageError(f"relative_to must be range, max or std, not {self.relative_to!r}")

    def stages(self) -> tuple[Stage, ...]:
        """One GaussianNoise of std sigma."""
        return (Stage("GaussianNoise", (Parameter(self.eta, self.relative_to),)),)

    def sigma(self, weights: WeightStatistics) -> float:
        """Sigma itself; the root mean square over channels where it differs."""
        return root_mean_square(self.eta * weights.unit(self.relative_to))
