"""The options of the commands that measure a metric under noise: what is measured, and who does it."""

from dataclasses import dataclass
from typing import Annotated, Any

from nmtool.cli.data_options import Labels
from nmtool.cli.options import CustomOps, Device, Option, backend_options


def _metrics() -> list[str]:
    from nmtool.metrics import METRICS

    return list(METRICS)


@dataclass(frozen=True)
class MeasurementOptions:
    """How a metric is measured, on which runtime, by which workers."""

    labels: Labels = None
    trials: Annotated[int, Option(metavar="N", help="Noise samples of each measurement")] = 10
    metric: Annotated[
        str,
        Option(
            metavar="NAME",
            help="What is measured: see `nmtool list metrics`; top<k>; module:function",
            autocompletion=_metrics,
        ),
    ] = "top1"
    output_name: Annotated[
        str | None, Option(metavar="NAME", help="Output of the model that the metric judges", show_default="the first")
    ] = None
    backend: Annotated[str, Option(metavar="NAME", help="What runs the models; `nmtool list backends` has all")] = (
        "onnxruntime"
    )
    device: Device = "auto"
    custom_ops: CustomOps = None
    threads: Annotated[
        int | None, Option(metavar="N", min=1, help="Threads of all workers together", show_default="one per core")
    ] = None
    executor: Annotated[
        str, Option(metavar="NAME", help="Where the work is done: processes, ray://HOST:PORT or dask://HOST:PORT")
    ] = "processes"
    jobs: Annotated[
        int | None,
        Option(
            "--jobs",
            "-j",
            metavar="N",
            help="Workers",
            show_default="1; on a cluster 1 per machine, with cuda 1 per GPU",
        ),
    ] = None

    def measurement(self) -> dict[str, Any]:
        """The same as keyword arguments of the Python API; labels are an option of the data."""
        return {
            "trials": self.trials,
            "metric": self.metric,
            "output": self.output_name,
            "backend": self.backend,
            "threads": self.threads,
            "executor": self.executor,
            "jobs": self.jobs,
            **backend_options(self.custom_ops, self.device),
        }
