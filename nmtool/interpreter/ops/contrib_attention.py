"""The attention operators that ONNX Runtime's optimizer makes of several of ONNX."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from nmtool.errors import ModelError
from nmtool.interpreter.ops.attention import join_heads, rotate, split_heads
from nmtool.interpreter.registry import register_op
from nmtool.interpreter.values import Value, tensor
from nmtool.ops.analog import MICROSOFT

_contrib = partial(register_op, domain=MICROSOFT)


@_contrib("Attention", frozen=(3, 5), only={"do_rotary": (0,), "past_present_share_buffer": (0,)})
def attention(
    x: Tensor,
    weights: Tensor,
    bias: Tensor | None = None,
    mask: Value | None = None,
    past: Tensor | None = None,
    attention_bias: Tensor | None = None,
    *,
    mask_filter_value: float = -10000.0,
    num_heads: int,
    qkv_hidden_sizes: Sequence[int] | None = None,
    scale: float | None = None,
    unidirectional: int = 0,
    outputs: int = 1,
) -> Any:
    """Self-attention with the projection to q, k and v inside: x W + b is all three side by side."""
    products = torch.matmul(x, weights)
    products = products if bias is None else products + bias
    sizes = list(qkv_hidden_sizes) if qkv_hidden_sizes else [weights.shape[1] // 3] * 3
    q, k, v = (split_heads(part, num_heads) for part in products.split(sizes, -1))
    if past is not None:
        k, v = torch.cat((past[0], k), 2), torch.cat((past[1], v), 2)
    limits = _mask(mask, k, mask_filter_value, padding_only=False)
    y, _ = _attend(q, k, v, (limits, attention_bias), scale, bool(unidirectional))
    return join_heads(y) if outputs == 1 else (join_heads(y), torch.stack((k, v)))


@_contrib("MultiHeadAttention", frozen=(4, 5))
def multi_head_attention(
    q: Tensor,
    k: Tensor | None = None,
    v: Tensor | None = None,
    bias: Tensor | None = None,
    padding: Value | None = None,
    attention_bias: Tensor | None = None,
    past_key: Tensor | None = None,
    past_value: Tensor | None = None,
    *,
    mask_filter_value: float = -10000.0,
    num_heads: int,
    scale: float | None = None,
    unidirectional: int = 0,
    outputs: int = 1,
) -> Any:
    """Attention of projected q to k and v, [batch, time, heads * size], or [batch, heads, time, size] for k and v."""
    if k is None or v is None:
        raise ModelError("q, k and v packed in one input of MultiHeadAttention are not implemented")
    if bias is not None:
        width = q.shape[-1]
        q = q + bias[:width]
        k = k + bias[width : 2 * width] if k.ndim == 3 else k
        v = v + bias[2 * width :] if v.ndim == 3 else v
    q = split_heads(q, num_heads)
    k = split_heads(k, num_heads) if k.ndim == 3 else k
    v = split_heads(v, num_heads) if v.ndim == 3 else v
    if past_key is not None and past_value is not None:
        k, v = torch.cat((past_key, k), 2), torch.cat((past_value, v), 2)
    limits = _mask(padding, k, mask_filter_value, padding_only=True)
    y, scores = _attend(q, k, v, (limits, attention_bias), scale, bool(unidirectional))
    return join_heads(y) if outputs == 1 else (join_heads(y), k, v, scores)[:outputs]


def _attend(
    q: Tensor, k: Tensor, v: Tensor, biases: Sequence[Tensor | None], scale: float | None, causal: bool
) -> tuple[Tensor, Tensor]:
    """The weighted values, and the scores before the softmax."""
    scores = torch.matmul(q, k.transpose(2, 3)) * (scale or 1 / math.sqrt(q.shape[3]))
    for bias in biases:
        scores = scores if bias is None else scores + bias
    if causal:
        future = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=q.device)
        scores = scores.masked_fill(future.triu(k.shape[2] - q.shape[2] + 1), torch.finfo(scores.dtype).min)
    return torch.matmul(torch.softmax(scores, -1), v), scores


def _mask(mask: Value | None, k: Tensor, filler: float, *, padding_only: bool) -> Tensor | None:
    """What is added to the scores, from a mask (0: not this key) or from where the keys of each sample end."""
    if mask is None:
        return None
    given, batch, keys = tensor(mask, k), k.shape[0], k.shape[2]
    if given.ndim == 1:
        position = torch.arange(keys, device=k.device)
        starts = given[batch:].unsqueeze(1) if given.shape[0] == 2 * batch and not padding_only else 0
        given = (position < given[:batch].unsqueeze(1)) & (position >= starts)
    if given.ndim not in (2, 3):
        raise ModelError(f"an attention mask of this shape is not implemented: {list(given.shape)}")
    given = given.unsqueeze(1) if given.ndim == 3 else given[:, None, None, :]
    return (given == 0).to(k.dtype) * filler


@_contrib("RotaryEmbedding", frozen=(1, 2, 3), only={"is_packed_batching": (0,), "scale": (1.0,)})
def rotary_embedding(
    x: Tensor,
    positions: Value,
    cos: Tensor,
    sin: Tensor,
    *,
    interleaved: int = 0,
    num_heads: int = 0,
    rotary_embedding_dim: int = 0,
) -> Tensor:
    """Pairs of elements of each head rotated; one position is that of the first step."""
    heads = x
    if x.ndim == 3:
        heads = split_heads(x, num_heads or x.shape[2] // (2 * cos.shape[1]))
    where = tensor(positions, x)
    if where.ndim == 1:
        where = (where + torch.arange(heads.shape[2], device=x.device)).unsqueeze(0)
    turned = rotate(heads, cos[where].unsqueeze(1), sin[where].unsqueeze(1), rotary_embedding_dim, bool(interleaved))
    return join_heads(turned) if x.ndim == 3 else turned
