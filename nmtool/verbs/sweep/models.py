"""The models of a sweep: each one a noisy file and what its noise means."""

import hashlib
import inspect
import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import onnx
import onnx_ir as ir

from nmtool import model as model_files
from nmtool import provenance
from nmtool.errors import UsageError
from nmtool.hardware import AnalogNoise, Hardware
from nmtool.hardware.profile import load
from nmtool.model import ModelSource
from nmtool.noise.gaussian import Gaussian
from nmtool.verbs.inject import inject

logger = logging.getLogger(__name__)

ModelSources: TypeAlias = "ModelSource | Sequence[ModelSource] | Mapping[str, ModelSource]"


@dataclass(frozen=True)
class NoisyModel:
    """One curve of a sweep.

    Attributes:
        label: its name in results and plots.
        file: the noisy model.
        sha256: digest of the model as given, external data included.
        provenance: of the noisy model; its eta is the noise level at scale 1.
        injection: options of `inject` other than the defaults; empty for a model that was given noisy.
        plain: whether it was given without noise.
    """

    label: str
    file: Path
    sha256: str
    provenance: provenance.Provenance
    injection: Mapping[str, Any]
    plain: bool

    def scale(self, eta: float) -> float:
        """What to feed the model's scale input for a noise level."""
        return eta / self.provenance.eta


def vary(noise: AnalogNoise, over: str) -> dict[str, AnalogNoise]:
    """Hardware with each value of one of its parameters, by a label that says which.

    Args:
        noise: the hardware.
        over: the parameter and its values: "time=1s,1h,1d".

    Raises:
        UsageError: it is no hardware, has no such parameter, or refuses a value.
    """
    key, sign, values = over.partition("=")
    if not sign or not all(map(str.strip, values.split(","))):
        raise UsageError(f"a sweep over hardware is KEY=VALUE,VALUE,..., not {over!r}")
    if not isinstance(noise, Hardware):
        raise UsageError("only hardware has parameters to sweep over", hint="name a profile with --hardware")
    return {f"{key}={value.strip()}": load(noise, [f"{key}={value.strip()}"]) for value in values.split(",")}


def prepare(
    models: ModelSources, folder: Path, seed: int, noises: Mapping[str, AnalogNoise], injection: Mapping[str, Any]
) -> list[NoisyModel]:
    """Make every model noisy; those that already are stay as they are.

    Args:
        models: one or several, or by label; labels default to file names.
        folder: where the noisy files go.
        seed: of the noise in models that are injected here.
        noises: every model gets each of them; their keys are added to its label.
        injection: further options of `inject`, for these models.

    Raises:
        UsageError: an option that `inject` has not, or a noisy model that has no level to scale or draws by itself.
        ModelError: a model cannot be read or made noisy.
    """
    labelled = _labelled(models)
    if not labelled:
        raise UsageError("no model to sweep")
    for name in injection:
        if name not in inspect.signature(inject).parameters or name in ("model", "eta", "seed"):
            raise UsageError(f"the noise of a sweep has no option {name!r}", hint="see the options of `nmtool inject`")
    cases = [
        (f"{label} {key}".strip(), source, noise) for label, source in labelled.items() for key, noise in noises.items()
    ]
    return [
        _prepare(label, source, folder / f"{number}.onnx", seed, {"noise": noise, **injection})
        for number, (label, source, noise) in enumerate(cases)
    ]


def _prepare(label: str, source: ModelSource, file: Path, seed: int, injection: Mapping[str, Any]) -> NoisyModel:
    model = model_files.load(source)
    found = provenance.read(model)
    sha256 = _digest(model, source)
    if found is None:
        noisy = inject(source, seed=seed, **injection).model
        model_files.save(noisy, file)
        found = provenance.read(noisy)
        assert found is not None  # inject records it
        return NoisyModel(label, file, sha256, found, _not_default(injection), plain=True)
    if found.fresh:
        raise UsageError(f"{label} draws its noise by itself", hint="inject the source model without `fresh`")
    if found.eta <= 0:
        raise UsageError(f"{label} was made noisy with eta {found.eta}, which cannot be scaled")
    if seed or _not_default(injection) or injection.get("noise", "gaussian") not in ("gaussian", Gaussian(1.0)):
        logger.warning("%s is noisy already: the noise options, seed included, do not apply to it", label)
    if isinstance(source, (str, os.PathLike)):
        file = Path(source)
    else:
        model_files.save(model, file)
    return NoisyModel(label, file, sha256, found, {}, plain=False)


def _not_default(injection: Mapping[str, Any]) -> dict[str, Any]:
    """The options that differ from inject's defaults, as JSON has them; those of the noise are in the provenance."""
    defaults = {
        name: json.dumps(each.default, default=str) for name, each in inspect.signature(inject).parameters.items()
    }
    options = {name: value for name, value in injection.items() if name not in ("noise", "relative_to")}
    return {name: json.loads(json.dumps(v)) for name, v in options.items() if json.dumps(v) != defaults[name]}


def _labelled(models: ModelSources) -> dict[str, ModelSource]:
    if isinstance(models, Mapping):
        return dict(models)
    if isinstance(models, (str, os.PathLike, onnx.ModelProto, ir.Model)):
        models = [models]
    labelled: dict[str, ModelSource] = {}
    for model in models:
        name = Path(model).stem if isinstance(model, (str, os.PathLike)) else "model"
        label, number = name, 2
        while label in labelled:
            label, number = f"{name}-{number}", number + 1
        labelled[label] = model
    return labelled


def _digest(model: ir.Model, source: ModelSource) -> str:
    """Digest of the model's file or serialized form; of that and its data files where it has any."""
    files = {Path(tensor.path) for tensor in model_files.external_tensors(model)}
    digests = [model_files.digest(source)]
    for file in sorted(files):
        with file.open("rb") as stream:
            digests.append(hashlib.file_digest(stream, "sha256").hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
