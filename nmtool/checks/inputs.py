"""Inputs for a model that came without data."""

from collections.abc import Callable, Mapping

import onnx_ir as ir

from nmtool.backends import Array
from nmtool.checks.dimensions import batch_dimension, open_dimensions
from nmtool.errors import ModelError, SetupError
from nmtool.probe import random_inputs

_SIZES = (64, 256, 512, 16, 4, 1)
"""Sizes of images, sequences, … to try, in this order."""


def made_up(
    model: ir.Model, run: Callable[[Mapping[str, Array]], object], *, batch: int, seed: int
) -> Mapping[str, Array]:
    """Random inputs, with all open dimensions but the batch of a size that the model takes.

    Args:
        model: the model.
        run: runs it; raises ModelError for a size that it does not take.
        batch: samples, where that is open.
        seed: of the random numbers.

    Returns:
        Those of the first size where the model takes none: the rules will find out why.

    Raises:
        ModelError: an input is not a tensor of numbers, or its rank is not known.
    """
    samples = batch_dimension(model)
    places = [place for dimension in open_dimensions(model) if not dimension.batch for place in dimension.places]
    sizes = dict.fromkeys(samples.places if samples else (), batch)
    first: Mapping[str, Array] | None = None
    for size in _SIZES if places else (batch,):
        feeds = random_inputs(model, sizes=sizes | dict.fromkeys(places, size), seed=seed)
        first = first or feeds
        try:
            run(samples.resized(feeds, 1) if samples else feeds)
        except (ModelError, SetupError):
            continue
        return feeds
    return first or {}
