"""Conditions on a metric under noise, such as `top1>=0.90@eta=0.05`."""

import math
import re
from dataclasses import dataclass
from typing import Literal

from nmtool.errors import UsageError

_METRIC, _RELATION, _BOUND = r"(?P<metric>[\w.:]+)", r"(?P<relation>>=|<=)", r"(?P<bound>[^@\s]+)"
_FORM = re.compile(rf"\s*{_METRIC}\s*{_RELATION}\s*{_BOUND}\s*(@\s*eta\s*=\s*(?P<eta>\S+)\s*)?")


@dataclass(frozen=True)
class Gate:
    """A condition.

    Attributes:
        metric: name of a metric.
        relation: which side of the bound is good.
        bound: in units of the metric.
        eta: strength of the noise; None: that of the model, or of the check.
    """

    metric: str
    relation: Literal[">=", "<="]
    bound: float
    eta: float | None = None

    def __str__(self) -> str:
        return f"{self.metric}{self.relation}{self.bound:g}" + ("" if self.eta is None else f"@eta={self.eta:g}")


def parse(text: str) -> Gate:
    """A gate from its text.

    Raises:
        UsageError: it has another form.
    """
    match = _FORM.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        eta, bound = None if match["eta"] is None else float(match["eta"]), float(match["bound"])
        if not math.isfinite(bound) or (eta is not None and not 0 <= eta < math.inf):
            raise ValueError
        relation: Literal[">=", "<="] = ">=" if match["relation"] == ">=" else "<="
        return Gate(match["metric"], relation, bound, eta)
    except ValueError:
        raise UsageError(f"not a gate: {text!r}", hint="write METRIC>=BOUND@eta=X, as top1>=0.90@eta=0.05") from None
