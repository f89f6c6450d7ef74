"""A loaded model together with its noise inputs: what `run` and `sweep` drive."""

from collections.abc import Mapping, Sequence

import numpy as np

from nmtool import provenance
from nmtool.backends import Array, Port, Runner
from nmtool.errors import UsageError
from nmtool.ops import LAYERS, RUN, SCALE, TIME, TRIAL

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
        known = self.provenance.inputs if self.provenance else {}
        self._noise_inputs = {kind: name for kind, name in known.items() if name in runner.inputs}
        self.ports: Sequence[Port] = [port for name, port in runner.inputs.items() if name not in known.values()]

    def run(
        self,
        outputs: Sequence[str],
        feeds: Mapping[str, Array],
        trial: int,
        scale: float,
        *,
        run: int = 0,
        time: float | None = None,
        layers: Array | None = None,
    ) -> list[Array]:
        """Run once.

        Args:
            outputs: names of the wanted outputs.
            feeds: data by input name.
            trial: which noise sample, modulo 2**32; no effect where `takes_trial` is false.
            scale: multiplies the noise; no effect on a model without noise.
            run: which sample of what is drawn at every run, modulo 2**32; no effect where nothing is.
            time: seconds since programming; None: the model's own.
            layers: factors on the noise of each array [arrays], of a model that takes them; None: all 1.

        Raises:
            ModelError: the runtime failed.
        """
        noise: dict[str, Array] = {
            TRIAL: np.array(trial % TRIALS, np.int64),
            SCALE: np.array(scale, np.float32),
            RUN: np.array(run % TRIALS, np.int64),
        }
        if time is not None:
            noise[TIME] = np.array(time, np.float32)
        if layers is not None:
            noise[LAYERS] = layers.astype(np.float32)
        fed = {name: noise[kind] for kind, name in self._noise_inputs.items() if kind in noise}
        return self.runner.run(outputs, {**feeds, **fed})

    @property
    def takes_trial(self) -> bool:
        """Whether the caller chooses the noise sample."""
        return TRIAL in self._noise_inputs

    @property
    def varies(self) -> bool:
        """Whether the caller chooses a sample of the noise: of the chip or of the run."""
        return self.takes_trial or RUN in self._noise_inputs

    @property
    def takes_time(self) -> bool:
        """Whether the caller chooses the time since programming."""
        return TIME in self._noise_inputs

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
