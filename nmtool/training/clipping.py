"""Limits for the weights of analog arrays, so that their range, and with it the noise, stays small."""

import torch
from torch import Tensor

from nmtool.recipes import ClipPer
from nmtool.training.sizes import measure
from nmtool.training.student import Student


class WeightLimits:
    """Clips the noisy arrays of a student to k standard deviations around 0, as nmtool.clipping does.

    The deviations are those of the weights when this is made: a limit that follows the clipped weights would shrink
    with every step until none are left.
    """

    def __init__(self, student: Student, per: ClipPer) -> None:
        """Measure the weights of every noisy array that is trained."""
        self._limited: list[tuple[Tensor, Tensor]] = []
        parameters = dict(student.graph.named_parameters())
        for name, channels in student.channels.items():
            weights = parameters.get(student.names.get(name, ""))
            if weights is not None and weights.requires_grad:
                axis = channels.axis if per == "channel" else None
                deviation = measure(weights, "std", axis, channels.groups).to(weights.dtype)
                unlimited = torch.where(deviation > 0, deviation, torch.inf)  # equal weights have no outliers
                self._limited.append((weights, unlimited))

    @torch.no_grad()
    def apply(self, k: float) -> None:
        """Clip to k standard deviations; k = 0 changes nothing."""
        if k:
            for weights, deviation in self._limited:
                weights.copy_(torch.maximum(torch.minimum(weights, k * deviation), -k * deviation))
