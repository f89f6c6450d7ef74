"""Resize and Upsample: one weighted sum of neighbours per axis, differentiable, in all coordinate systems of ONNX."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nmtool.interpreter.registry import register_op
from nmtool.interpreter.values import floats, ints, positive


@register_op("Upsample", side=(1,))
def upsample(x: Tensor, factors: Any = None, *, mode: str = "nearest", scales: Sequence[float] | None = None) -> Tensor:
    """Enlarge each axis by a factor; the factors are an attribute before opset 9."""
    chosen = floats(factors) if factors is not None else list(scales or [])
    return resize(
        x, scales=chosen, mode=mode, coordinate_transformation_mode="asymmetric", nearest_mode="floor", opset=10
    )


@register_op("Resize", side=(1, 2, 3), only={"antialias": (0,)})
def onnx_resize(x: Tensor, *inputs: Any, opset: int = 19, **attributes: Any) -> Tensor:
    """Resize of all opsets: (x, scales) in opset 10, (x, roi, scales, sizes) since."""
    if opset < 11:
        settings = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor", **attributes}
        return resize(x, scales=floats(inputs[0]), opset=opset, **settings)
    roi, scales, sizes = (*inputs, None, None, None)[:3]
    return resize(
        x,
        roi=None if roi is None else floats(roi),
        scales=None if scales is None else floats(scales),
        sizes=None if sizes is None else ints(sizes),
        **attributes,
    )


def resize(
    x: Tensor,
    *,
    roi: Sequence[float] | None = None,
    scales: Sequence[float] | None = None,
    sizes: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = "stretch",
    mode: str = "nearest",
    nearest_mode: str = "round_prefer_floor",
    opset: int = 19,
) -> Tensor:
    """Resize axis after axis, each to `sizes` or by `scales`; a size of 0 leaves the axis as it is."""
    chosen = [positive(axis, x.ndim) for axis in axes] if axes is not None else list(range(x.ndim))
    lengths = [x.shape[axis] for axis in chosen]
    if scales:
        factors = list(scales)
        targets = [int(length * factor + 1e-6) for length, factor in zip(lengths, factors, strict=True)]
    else:
        targets = [size or length for size, length in zip(sizes or [], lengths, strict=True)]
        factors = [target / length for target, length in zip(targets, lengths, strict=True)]
        if keep_aspect_ratio_policy != "stretch":
            factor = (min if keep_aspect_ratio_policy == "not_larger" else max)(factors)
            factors = [factor] * len(chosen)
            targets = [int(length * factor + 0.5) for length in lengths]
    cropped = coordinate_transformation_mode == "tf_crop_and_resize"
    outside_of: list[tuple[int, Tensor]] = []
    for k, axis in enumerate(chosen):
        if targets[k] == lengths[k] and factors[k] == 1 and not cropped:
            continue
        limits = (roi[k], roi[k + len(chosen)]) if roi and cropped else (0.0, 1.0)
        where = _coordinates(coordinate_transformation_mode, lengths[k], targets[k], factors[k], limits)
        if cropped:
            outside_of.append((axis, ((where < 0) | (where > lengths[k] - 1)).to(x.device)))
        x = _interpolate(x, axis, where.to(x.device), mode, nearest_mode, cubic_coeff_a, bool(exclude_outside))
    for axis, outside in outside_of:
        shape = [-1 if k == axis else 1 for k in range(x.ndim)]
        x = torch.where(outside.reshape(shape), torch.full((), extrapolation_value, dtype=x.dtype, device=x.device), x)
    return x


def _coordinates(system: str, length: int, target: int, scale: float, roi: tuple[float, float]) -> Tensor:
    """Positions of the new elements among the old ones, in float64."""
    k = torch.arange(target, dtype=torch.float64)
    if system == "asymmetric":
        return k / scale
    if system == "align_corners":  # by the exact length, which the target is the integer part of
        return k * (length - 1) / (scale * length - 1) if target > 1 else torch.zeros_like(k)
    if system == "pytorch_half_pixel":
        return (k + 0.5) / scale - 0.5 if target > 1 else torch.zeros_like(k)
    if system == "tf_half_pixel_for_nn":
        return (k + 0.5) / scale
    if system == "half_pixel_symmetric":
        offset = length / 2 * (1 - target / (scale * length))
        return offset + (k + 0.5) / scale - 0.5
    if system == "tf_crop_and_resize":
        begin, end = roi
        if target == 1:
            return torch.full_like(k, 0.5 * (begin + end) * (length - 1))
        return begin * (length - 1) + k * (end - begin) * (length - 1) / (target - 1)
    return (k + 0.5) / scale - 0.5


def _interpolate(
    x: Tensor, axis: int, where: Tensor, mode: str, nearest_mode: str, cubic: float, exclude_outside: bool
) -> Tensor:
    length = x.shape[axis]
    if mode == "nearest":
        return x.index_select(axis, _nearest(where, nearest_mode).clamp(0, length - 1))
    first = torch.floor(where)
    part = where - first
    if mode == "cubic":
        weights = [_cubic(part + 1, cubic), _cubic(part, cubic), _cubic(1 - part, cubic), _cubic(2 - part, cubic)]
        offsets = [-1, 0, 1, 2]
    else:
        weights, offsets = [1 - part, part], [0, 1]
    indices = [first.long() + offset for offset in offsets]
    if exclude_outside:
        inside = [(index >= 0) & (index < length) for index in indices]
        weights = [weight * keep for weight, keep in zip(weights, inside, strict=True)]
        whole = sum(weights)
        weights = [weight / whole for weight in weights]
    shape = [-1 if k == axis else 1 for k in range(x.ndim)]
    return sum(
        x.index_select(axis, index.clamp(0, length - 1)) * weight.to(x.dtype).reshape(shape)
        for index, weight in zip(indices, weights, strict=True)
    )


def _nearest(where: Tensor, nearest_mode: str) -> Tensor:
    if nearest_mode == "floor":
        return torch.floor(where).long()
    if nearest_mode == "ceil":
        return torch.ceil(where).long()
    if nearest_mode == "round_prefer_ceil":
        return torch.floor(where + 0.5).long()
    return torch.ceil(where - 0.5).long()


def _cubic(distance: Tensor, a: float) -> Tensor:
    """Weight of a neighbour at the given distance, of Keys' cubic convolution."""
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return torch.where(distance <= 1, near, far)
