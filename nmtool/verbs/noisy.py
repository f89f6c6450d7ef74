"""A loaded model together with its noise inputs: what `run` and `sweep` drive."""

from collections.abc import Mapping, Sequence

import numpy as np

from nmtool import provenance
from nmtool.backends import Array, Port, Runner
from nmtool.errors import UsageError

TRIALS = 1 << 32  # trial numbers are taken modulo this


class NoisyRunner:
    """A model that takes a trial and a scale apart from its data; a model without noise takes neither.

    Attributes:
        runner: the loaded model.
        provenance: how it was made noisy, or None.
        ports: its inputs, those of the noise left out.
    """

    def __init__(self, runner: Runner) -> None:
        """Read the provenance.

        Raises:
            ModelError: it cannot be understood.
        """
        self.runner = runner
        self.provenance = provenance.from_metadata(runner.metadata)
        known = (self.provenance.scale_input, self.provenance.trial_input) if self.provenance else ()
        self._noise_inputs = [name for name in known if name in runner.inputs]
        self.ports: Sequence[Port] = [port for name, port in runner.inputs.items() if name not in known]

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Array], trial: int, scale: float) -> list[Array]:
        """Run once.

        Args:
            outputs: names of the wanted outputs.
            feeds: data by input name.
            trial: which noise sample, modulo 2**32; no effect where `takes_trial` is false.
            scale: multiplies the noise; no effect on a model without noise.

        Raises:
            ModelError: the runtime failed.
        """
        noise = (np.array(scale, np.float32), np.array(trial % TRIALS, np.int64))  # a model may have only the scale
        return self.runner.run(outputs, {**feeds, **dict(zip(self._noise_inputs, noise, strict=False))})

    @property
    def takes_trial(self) -> bool:
        """Whether the caller chooses the noise sample."""
        return self.provenance is not None and self.provenance.trial_input in self._noise_inputs

    def output(self, name: str | None) -> str:
        """An output by name; None: the first.

        Raises:
            UsageError: the model has no such output.
        """
        if name is None:
            return self.runner.outputs[0]
        if name not in self.runner.outputs:
            raise UsageError(f"the model has no output {name!r}", hint="it has: " + ", ".join(self.runner.outputs))
        return name
