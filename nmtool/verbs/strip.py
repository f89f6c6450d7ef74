"""`nmtool strip`: back to the model that noise was injected into."""

import onnx_ir as ir

from nmtool import provenance
from nmtool.errors import ModelError
from nmtool.model import ModelSource, load
from nmtool.passes.strip_noise import StripNoise


def strip(model: ModelSource) -> ir.Model:
    """Return the source model of a noisy one: same nodes, names, attributes, initializers, functions and metadata.

    A model that was lifted (`opset` of inject) comes back lifted: the converter has no inverse.

    Raises:
        ModelError: the model cannot be read, or is not noisy.
    """
    noisy = load(model)
    if provenance.read(noisy) is None:
        raise ModelError("the model is not noisy: it has no record of an injection", hint="`nmtool inject` makes one")
    return StripNoise()(noisy).model
