"""A sample's outputs do not depend on the others of its batch.

A batch is run as a whole and sample by sample, and the outputs are compared; with noise, at one trial. They may differ
as much as sums in another order do.

Where they differ by more, something computes over the batch: a Reshape or Flatten that an exporter wrote with the batch
of its example, a BatchNormalization in training mode, a Softmax or a mean along the wrong axis. In service a model like
this gives a user results that depend on who else is being served.

To fix: export the model in evaluation mode, and with a batch that is declared dynamic; look at the axes of the node
that is named.
"""

from collections.abc import Iterator, Mapping
from typing import Literal

from nmtool.backends import Array
from nmtool.checks.comparison import compare, disagreeing, worst
from nmtool.checks.dimensions import Dimension, batch_dimension, joined
from nmtool.checks.engines import reproducible
from nmtool.checks.finding import Finding, error, not_checked, note
from nmtool.checks.subject import Subject
from nmtool.difference import allowed_difference

_FIX = "export in evaluation mode with a dynamic batch; look for axes and shapes that hold the batch"


def check(subject: Subject) -> Iterator[Finding]:
    """Compare a batch with its samples one by one."""
    batch = batch_dimension(subject.clean)
    if batch is None:
        yield not_checked("the model's batch is fixed", "export it with a dynamic batch, if it is to serve batches")
        return
    feeds = subject.feeds if batch.size(subject.feeds) > 1 else batch.resized(subject.feeds, 2)
    yield from _compared(subject, "clean", batch, feeds)
    if subject.noisy is not None and reproducible(subject.on("onnxruntime", "noisy")):
        record = subject.made_noisy[1]
        if record.run_input is not None:  # what is drawn for activations depends on the place in the batch
            yield note(
                "with noise, samples are compared at scale 0: what is drawn for activations is drawn anew for each"
            )
        yield from _compared(subject, "noisy", batch, feeds, 1.0 if record.run_input is None else 0.0)


def _compared(
    subject: Subject,
    variant: Literal["clean", "noisy"],
    batch: Dimension,
    feeds: Mapping[str, Array],
    scale: float = 1.0,
) -> Iterator[Finding]:
    loaded, size = subject.on("onnxruntime", variant), batch.size(feeds)

    def run(feeds: Mapping[str, Array]) -> list[Array]:
        return loaded.run(subject.outputs, feeds, trial=0, scale=scale)

    together = run(feeds)
    alone = list(zip(*(run(batch.sample(feeds, index)) for index in range(size)), strict=True))
    outputs, whole, parts = [], [], []
    for name, array, pieces in zip(subject.outputs, together, alone, strict=True):
        if array.shape == pieces[0].shape:
            yield note(f"output {name!r} has no axis for samples: {list(array.shape)} for {size} of them, and for one")
        elif (assembled := joined(array, pieces)) is not None:
            outputs.append(name)
            whole.append(array)
            parts.append(assembled)
        else:
            shapes = f"{list(array.shape)} for {size} samples, {list(pieces[0].shape)} for one"
            yield error(f"output {name!r} is {shapes}", _FIX, output=name)
    compared = compare(outputs, whole, parts)
    what = f"{size} samples at once and one by one" + (", with noise" if variant == "noisy" else "")
    if wrong := disagreeing(compared, allowed_difference(subject.proto)):
        yield error(f"outputs of {what} differ: {wrong[0]}", _FIX, **wrong[0].facts())
    elif compared:
        most = worst(compared)
        yield note(f"outputs of {what} agree: {most}", **most.facts())
