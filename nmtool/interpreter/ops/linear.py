"""Matrix products."""

import torch
from torch import Tensor

from nmtool.interpreter.registry import register_op
from nmtool.interpreter.values import tensors

register_op("MatMul")(torch.matmul)
register_op("Det")(torch.det)


@register_op("Gemm", only={"broadcast": (0, 1)})
def gemm(
    a: Tensor,
    b: Tensor,
    c: Tensor | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,  # noqa: N803
    transB: int = 0,  # noqa: N803
) -> Tensor:
    """alpha A B + beta C."""
    product = torch.matmul(a.transpose(0, 1) if transA else a, b.transpose(0, 1) if transB else b)
    if alpha != 1.0:
        product = (alpha * product).to(a.dtype)
    if c is None:
        return product
    return product + (c if beta == 1.0 else (beta * c).to(a.dtype))


@register_op("Einsum")
def einsum(*operands: Tensor, equation: str) -> Tensor:
    """Sum of products after Einstein."""
    return torch.einsum(equation, *tensors(*operands))
