"""Padding of sliding windows, which ONNX gives in three ways."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """A window that slides over the spatial axes of a tensor.

    Attributes:
        kernel: its size.
        strides: steps from one position to the next.
        dilations: distance of its elements.
        before: padding in front of each axis.
        after: padding behind each axis.
    """

    kernel: list[int]
    strides: list[int]
    dilations: list[int]
    before: list[int]
    after: list[int]

    @property
    def symmetric(self) -> bool:
        """Whether torch can pad by itself."""
        return self.before == self.after

    @property
    def padding(self) -> list[int]:
        """The padding as torch.nn.functional.pad wants it: last axis first."""
        pairs = zip(reversed(self.before), reversed(self.after), strict=True)
        return [amount for pair in pairs for amount in pair]


def window(
    size: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
) -> Window:
    """The window over spatial axes of the given size, with all defaults and automatic padding resolved.

    With `ceil_mode`, the padding behind grows so that the last, incomplete position fits.
    """
    rank = len(kernel)
    steps, spread = list(strides or [1] * rank), list(dilations or [1] * rank)
    extent = [(kernel[k] - 1) * spread[k] + 1 for k in range(rank)]
    amounts = list(pads or [0] * 2 * rank)
    before, after = amounts[:rank], amounts[rank:]
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        for k in range(rank):
            total = max((-(-size[k] // steps[k]) - 1) * steps[k] + extent[k] - size[k], 0)
            small = total // 2
            before[k], after[k] = (small, total - small) if auto_pad == "SAME_UPPER" else (total - small, small)
    elif auto_pad == "VALID":
        before, after = [0] * rank, [0] * rank
    if ceil_mode and auto_pad not in ("SAME_UPPER", "SAME_LOWER"):
        for k in range(rank):
            free = size[k] + before[k] + after[k] - extent[k]
            count = -(-free // steps[k]) + 1
            if (count - 1) * steps[k] >= size[k] + before[k]:
                count -= 1
            after[k] += max((count - 1) * steps[k] - free, 0)
    return Window(list(kernel), steps, spread, before, after)
