"""Planning, for every analog node, what its array and the periphery around it compute."""

from dataclasses import dataclass

import onnx_ir as ir

from nmtool.hardware import Layer
from nmtool.noise.base import NoiseModel
from nmtool.noise.cell import Cell
from nmtool.noise.tiling import TilingError, tiling
from nmtool.noise.wires import Wires
from nmtool.ops.crossbar import Crossbar, crossbar_of
from nmtool.ops.crossbar_products import PRODUCTS
from nmtool.passes.coverage import Candidate
from nmtool.passes.inference import Inference


@dataclass(frozen=True)
class Plan:
    """What becomes of an analog node.

    Attributes:
        noise: on its array; None: it is held exactly.
        crossbar: what replaces the node; None: it stays, or becomes a composite.
        wires: of the tiles that hold the array; None: ideal ones.
        digital: why the node cannot be analog, or "".
        remark: what of the hardware is not modelled, or "".
    """

    noise: NoiseModel | Cell | None
    crossbar: Crossbar | None = None
    wires: Wires | None = None
    digital: str = ""
    remark: str = ""


def plan(candidate: Candidate, layer: Layer, inference: Inference) -> Plan:
    """What the hardware makes of a candidate that can be analog."""
    node, array, periphery, noise = candidate.site.node, candidate.array, layer.periphery, layer.weights
    if periphery is None:
        return Plan(noise, digital="" if noise is not None else "the hardware has nothing for its weights")
    if array is None:
        return Plan(noise, digital="product of two activations: tiles hold constant weights")
    if why := _unfit(node):
        return Plan(noise, remark=f"its converters and tiles are not modelled: {why}", digital=_exact(noise))
    operand = node.inputs[candidate.operand]
    assert operand is not None
    shape = inference.shape(operand)
    sizes = tuple(size for size in shape or () if isinstance(size, int))
    if shape is None or len(sizes) < len(shape):
        remark = "its converters and tiles are not modelled: its shape is unknown"
        return Plan(noise, remark=remark, digital=_exact(noise))
    cell = noise if isinstance(noise, Cell) else None
    slicing = None if cell is None or array.layout else cell.slicing
    remark = "slices are added in front of the converters" if cell and cell.slicing and array.layout else ""
    try:
        per_channel = cell is not None and cell.scale == "channel"
        crossbar = crossbar_of(node, candidate.operand, sizes, periphery, slicing=slicing, per_channel=per_channel)
        spread = tiling(node.op_type, candidate.operand, sizes, _values(node), periphery.tile)
    except TilingError as error:
        return Plan(noise, digital=str(error))
    wires = Wires(spread, periphery.tile) if periphery.tile.has_wires and not array.layout else None
    if periphery.tile.has_wires and array.layout:
        remark = "wires are not modelled: the array is laid out anew in front of the node"
    if wires is not None and cell is None:
        if noise is not None:
            return Plan(noise, digital="wires load cells, and its weights are not in cells")
        noise = Cell(())
    return Plan(noise, None if periphery.is_ideal else crossbar, wires, remark=remark)


def _unfit(node: ir.Node) -> str:
    """Why a node has no crossbar, or ""."""
    if node.domain or node.op_type not in PRODUCTS:
        return f"{node.op_type} is one operator with several products"
    if any(attribute.is_ref() for attribute in node.attributes.values()):
        return "its attributes are those of a function"
    return ""


def _exact(noise: NoiseModel | Cell | None) -> str:
    return "" if noise is not None else "the hardware has converters only, which are not modelled for this operator"


def _values(node: ir.Node) -> dict[str, object]:
    return {name: attribute.value for name, attribute in node.attributes.items()}
