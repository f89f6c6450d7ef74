"""Which array of a source goes to which input of a model."""

import sys
from collections.abc import Mapping, Sequence

from nmtool.backends import Array, Port
from nmtool.data.dataset import Dataset
from nmtool.data.options import DataOptions
from nmtool.data.prepare import Preparation, channel_axis, exactly
from nmtool.data.sources import UNNAMED, DataSource, Samples, Source, open_source
from nmtool.errors import UsageError

_LABEL_NAMES = ("labels", "label", "y")


def load(source: DataSource, ports: Sequence[Port], options: DataOptions | None = None) -> Dataset:
    """Read a data set for a model.

    An array belongs to the input of its name; a model with a single input also takes the only array there is.
    An input whose first dimension is fixed, while that of the model's first input is not (or is another), has no batch
    dimension: its array is fed to every run as it is. So is a scalar.

    Args:
        source: path of an .npz, .npy, .tar or folder of images or .tar shards, "module:function", a function, an array,
            a dict of arrays by input name, or a pair (inputs, labels).
        ports: the model's inputs, those of the noise left out.
        options: how to read and prepare; None: the defaults.

    Raises:
        UsageError: the source cannot be read or does not fit the model.
    """
    options = options or DataOptions()
    opened = open_source(source)
    label_name = _label_name(opened, {port.name for port in ports}, options)
    labels = opened.array(label_name) if label_name is not None else opened.labels
    samples = _match(opened, ports, label_name, options)
    matched = [port for port in ports if port.name in samples]
    fixed = matched[0].shape[0] if matched[0].shape else None
    batched = [port for port in matched if _is_batched(port, samples[port.name], fixed)]
    layout = opened.layout or options.layout
    return Dataset(
        name=opened.name,
        count=min(_count(opened, batched, samples, labels), options.limit or sys.maxsize),
        batch_size=fixed or options.batch_size,
        fixed=fixed is not None,
        inputs={port.name: samples[port.name] for port in batched},
        whole={port.name: exactly(port, samples[port.name], opened.name) for port in matched if port not in batched},
        preparations={
            port.name: Preparation.plan(port, samples[port.name], options, layout, opened.name) for port in batched
        },
        labels=labels,
        options=options,
    )


def _is_batched(port: Port, samples: Samples, fixed: int | None) -> bool:
    return len(samples.shape) > 0 and (port.shape is None or port.shape[0] in (None, fixed))


def _count(source: Source, batched: Sequence[Port], samples: Mapping[str, Samples], labels: Array | None) -> int:
    counts = {port.name: samples[port.name].shape[0] for port in batched}
    if not counts:
        raise UsageError(f"{source.name} has no array of samples, only single values")
    if labels is not None:
        counts["labels"] = len(labels) if labels.ndim else 0
    if len(set(counts.values())) > 1:
        listing = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise UsageError(f"{source.name} has different numbers of samples: {listing}")
    count = next(iter(counts.values()))
    if count == 0:
        raise UsageError(f"{source.name} has no samples")
    return count


def _label_name(source: Source, inputs: set[str], options: DataOptions) -> str | None:
    if options.labels is not None:
        if options.labels not in source.arrays:
            raise UsageError(f"{source.name} has no array of labels named {options.labels!r}", hint=_listing(source))
        return options.labels
    if source.labels is not None:
        return None
    return next((name for name in _LABEL_NAMES if name in source.arrays and name not in inputs), None)


def _match(source: Source, ports: Sequence[Port], label_name: str | None, options: DataOptions) -> dict[str, Samples]:
    """The samples of every input that the source has, all required ones among them."""
    required = [port for port in ports if not port.optional]
    if not required:
        raise UsageError("the model has no inputs to feed data to")
    if source.images is not None:
        if len(required) > 1:
            raise UsageError(f"the model has {len(required)} inputs, images are for one")
        return {required[0].name: _images(source, required[0], options)}
    found: dict[str, Samples] = {}
    others = [name for name in source.arrays if name != label_name]
    for port in ports:
        if port.name in source.arrays:
            found[port.name] = source.array(port.name)
        elif len(required) == 1 and len(others) == 1 and not port.optional:
            found[port.name] = source.array(others[0])
        elif not port.optional:
            raise UsageError(f"{source.name} has no array for input {port.name!r} ({port})", hint=_listing(source))
    return found


def _images(source: Source, port: Port, options: DataOptions) -> Samples:
    assert source.images is not None
    shape = port.shape if port.shape and len(port.shape) == 4 else (None, None, None, None)
    axis = channel_axis(shape)
    height, width = (dim for at, dim in enumerate(shape) if at not in (0, axis))
    size = options.resize or ((height, width) if height and width else None)
    return source.images.samples(size, channels=shape[axis] or 3)


def _listing(source: Source) -> str:
    return "it has: " + (", ".join(name for name in source.arrays if name != UNNAMED) or "one array without a name")
