"""Scaled dot-product attention and rotary positions."""

import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from nmtool.interpreter.registry import register_op
from nmtool.interpreter.values import DTYPES, Value, tensor


@register_op("Attention", frozen=(3, 6))
def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    past_key: Tensor | None = None,
    past_value: Tensor | None = None,
    lengths: Value | None = None,
    *,
    is_causal: int = 0,
    kv_num_heads: int | None = None,
    left_window_size: int = -1,
    q_num_heads: int | None = None,
    qk_matmul_output_mode: int = 0,
    right_window_size: int = -1,
    scale: float | None = None,
    softcap: float = 0.0,
    softmax_precision: int | None = None,
    outputs: int = 1,
) -> Any:
    """Attention of q to k and v, in [batch, heads, time, size] or with the heads side by side in [batch, time, ...].

    `lengths` counts the keys of each sample that are no padding, the window is relative to the query's own position.
    """
    flat = q.ndim == 3
    if flat:
        assert q_num_heads is not None  # ONNX wants it for this layout
        assert kv_num_heads is not None
        q, k, v = split_heads(q, q_num_heads), split_heads(k, kv_num_heads), split_heads(v, kv_num_heads)
    if past_key is not None and past_value is not None:
        k, v = torch.cat((past_key, k), 2), torch.cat((past_value, v), 2)
    ends = None if lengths is None else tensor(lengths, q).reshape(-1, 1, 1, 1)
    past = 0 if past_key is None else past_key.shape[2]
    before = past if ends is None else ends - q.shape[2]
    allowed = _window(q, k.shape[2], before, left_window_size, 0 if is_causal else right_window_size)
    if ends is not None:
        inside = torch.arange(k.shape[2], device=q.device) < ends
        allowed = inside if allowed is None else allowed & inside
    groups = q.shape[1] // k.shape[1]
    keys, values = (k, v) if groups == 1 else (k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1))
    root = math.sqrt(1 / math.sqrt(q.shape[3]) if scale is None else scale)
    products = torch.matmul(q * root, keys.transpose(2, 3) * root)
    capped = torch.tanh(products / softcap) * softcap if softcap else products
    bias = _bias(mask, allowed, capped)
    scores = capped if bias is None else capped + bias
    precision = scores.dtype if softmax_precision is None else DTYPES[softmax_precision]
    weights = masked_softmax(scores.to(precision), bias).to(q.dtype)
    y = torch.matmul(weights, values)
    y = join_heads(y) if flat else y
    if outputs == 1:
        return y
    return (y, k, v, (products, capped, scores, weights)[qk_matmul_output_mode])[:outputs]


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[batch, time, heads * size] -> [batch, heads, time, size]."""
    return x.reshape(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    """[batch, heads, time, size] -> [batch, time, heads * size]."""
    return x.transpose(1, 2).flatten(2)


def masked_softmax(scores: Tensor, bias: Tensor | None) -> Tensor:
    """Softmax along the last axis; 0 where the bias leaves nothing, and no NaN in its gradient."""
    if bias is None:
        return torch.softmax(scores, -1)
    empty = bias.amax(-1, keepdim=True) == -torch.inf
    return torch.softmax(scores.masked_fill(empty, 0), -1).masked_fill(empty, 0)


def _window(q: Tensor, keys: int, before: int | Tensor, left: int, right: int) -> Tensor | None:
    """Which keys [..., time, keys] are near enough; -1 is no limit. `before` keys precede the first query."""
    if left < 0 and right < 0:
        return None
    position = torch.arange(q.shape[2], device=q.device).unsqueeze(1) + before
    distance = position - torch.arange(keys, device=q.device)
    if left < 0:
        return distance >= -right
    return distance <= left if right < 0 else (distance <= left) & (distance >= -right)


def _bias(mask: Tensor | None, allowed: Tensor | None, scores: Tensor) -> Tensor | None:
    """What is added to the scores: the mask, -inf where nothing is allowed or the mask is too short."""
    if mask is not None:
        boolean = mask.dtype == torch.bool
        mask = F.pad(mask, (0, scores.shape[-1] - mask.shape[-1]), value=False if boolean else -torch.inf)
        if boolean:
            allowed, mask = mask if allowed is None else mask & allowed, None
    if allowed is None:
        return mask
    start = scores.new_zeros(()) if mask is None else mask
    return torch.where(allowed, start, -torch.inf)


@register_op("RotaryEmbedding", frozen=(1, 2, 3))
def rotary_embedding(
    x: Tensor,
    cos: Tensor,
    sin: Tensor,
    positions: Value | None = None,
    *,
    interleaved: int = 0,
    num_heads: int = 0,
    rotary_embedding_dim: int = 0,
) -> Tensor:
    """Pairs of elements of each head rotated by angles that depend on the position."""
    if positions is not None:
        where = tensor(positions, x)
        cos, sin = cos[where], sin[where]
    heads = split_heads(x, num_heads) if x.ndim == 3 else x
    turned = rotate(heads, cos.unsqueeze(1), sin.unsqueeze(1), rotary_embedding_dim, bool(interleaved))
    return join_heads(turned) if x.ndim == 3 else turned


def rotate(x: Tensor, cos: Tensor, sin: Tensor, size: int, interleaved: bool) -> Tensor:
    """The first `size` elements of the last axis (0: all), as pairs, rotated by the angles."""
    part, rest = (x[..., :size], x[..., size:]) if size else (x, x[..., :0])
    if interleaved:
        a, b = part[..., 0::2], part[..., 1::2]
        turned = torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2)
    else:
        a, b = part.chunk(2, -1)
        turned = torch.cat((a * cos - b * sin, a * sin + b * cos), -1)
    return torch.cat((turned, rest), -1) if size else turned
