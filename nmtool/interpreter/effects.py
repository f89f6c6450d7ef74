"""What the noise of each array does to the outputs, to first order, from gradients."""

from collections.abc import Iterable, Mapping

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmtool.errors import ModelError
from nmtool.interpreter.convert import convert
from nmtool.interpreter.weights import to_tensor

_ONE = 1e-3  # how far sums of probabilities may be from 1


def layer_effects(
    model: ir.Model,
    samples: Iterable[Mapping[str, NDArray[np.generic]]],
    noise: Mapping[str, NDArray[np.generic]],
    factors: str,
    output: str,
    *,
    classes: bool,
    seed: int,
) -> NDArray[np.float64]:
    """The mean effect of the noise in each array alone, if the network were linear in its weights.

    For classes it is the divergence of Kullback and Leibler from the clean to the noisy prediction, in nats: to second
    order in the noise dW it is 1/2 dW^T F dW, F the Fisher information of the weights. With a label drawn from the
    clean prediction of each sample, the expectation of the squared gradient of their log-likelihood is F, also for a
    whole batch, because the gradients of samples are independent and have mean 0. Else it is the mean squared change of
    the output: there the gradient is that of a random combination of the output's elements.

    dW enters as the derivative with respect to the factors on the noise at 0, so that one backward pass serves all
    arrays, whatever their noise is.

    Args:
        model: with factors on the noise of its arrays (`nmtool.passes.layer_scales`).
        samples: inputs of small batches by name, each for one backward pass; with the numbers of the noise samples.
        noise: the run-time inputs of the noise by name.
        factors: name of the input of factors.
        output: name of the output.
        classes: whether it is scores or probabilities of classes, along its last axis.
        seed: of labels and combinations.

    Returns:
        An effect for each array.

    Raises:
        ModelError: the model has nodes that cannot be converted.
    """
    copy = model.clone()
    for name in noise:
        copy.graph.initializers.pop(name).const_value = None  # inputs that every call gives
    names = [value.name or "" for value in copy.graph.inputs if not value.is_initializer()]
    position = [value.name for value in copy.graph.outputs].index(output)
    module = convert(copy).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    total, count = np.zeros(len(noise[factors])), 0
    for batch in samples:
        scales = torch.zeros(len(total), requires_grad=True)
        given = {name: to_tensor(ir.tensor(np.asarray(array))) for name, array in {**noise, **batch}.items()}
        given[factors] = scales
        results = module(*(given[name] for name in names))
        values = (results if isinstance(results, tuple) else (results,))[position]
        if not values.requires_grad:
            raise ModelError(f"output {output!r} has no gradient with respect to the noise")
        cotangent = _of_a_label(values, generator) if classes else _combination(values, generator)
        (gradient,) = torch.autograd.grad(values, scales, cotangent)
        total += gradient.double().square().numpy() / (2 if classes else values[0].numel())
        count += len(values)
    return total / count


def _of_a_label(values: Tensor, generator: torch.Generator) -> Tensor:
    """The gradient of the log-likelihood of labels drawn from the prediction, of each sample and position."""
    rows = values.detach().reshape(-1, values.shape[-1]).float()
    sums = rows.sum(dim=1)
    are_probabilities = bool((rows >= 0).all()) and bool(((sums - 1).abs() < _ONE).all())
    probabilities = rows / sums[:, None] if are_probabilities else rows.softmax(dim=1)
    labels = torch.multinomial(probabilities, 1, generator=generator)
    chosen = torch.zeros_like(rows).scatter_(1, labels, 1.0)
    gradient = chosen / rows.clamp_min(torch.finfo(rows.dtype).tiny) if are_probabilities else chosen - probabilities
    return gradient.reshape(values.shape).to(values.dtype)


def _combination(values: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(values.shape, generator=generator).to(values.dtype)
