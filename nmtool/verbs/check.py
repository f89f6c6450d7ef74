"""`nmtool check`: is the model fit to ship?"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from nmtool.backends import names
from nmtool.checks import rule as rules
from nmtool.checks.accuracy import validate
from nmtool.checks.gates import parse
from nmtool.checks.report import Report
from nmtool.checks.rule import Outcome
from nmtool.checks.rules import RULES
from nmtool.checks.subject import Device, Request, Subject
from nmtool.data import DataOptions, DataSource
from nmtool.errors import ModelError, UsageError
from nmtool.hardware import AnalogNoise, resolved
from nmtool.model import digest
from nmtool.reimport import Source
from nmtool.verbs.doctor import versions


def check(
    model: Source,
    *,
    against: Source | None = None,
    data: DataSource | None = None,
    eta: float | None = None,
    noise: str | AnalogNoise = "gaussian",
    relative_to: Literal["range", "max", "std"] | None = None,
    placement: Mapping[str, Any] | None = None,
    gates: Sequence[str] = (),
    backends: Sequence[str] | None = None,
    custom_ops: Sequence[str | os.PathLike[str]] = (),
    device: Device = "auto",
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    trials: int = 200,
    max_trials: int = 100,
    alpha: float = 0.01,
    seed: int = 0,
    data_options: DataOptions | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Report:
    """Apply the rules to a model: its file, its structure, its behaviour on every backend, its noise, its accuracy.

    Args:
        model: path or ModelProto.
        against: the original that it was made from; without it, structure is not checked.
        data: samples, with labels where a gate needs them; without, behaviour is checked on random inputs.
        eta: strength of the noise that a model without noise gets for the rules about noise; None: those do not apply.
        noise: its noise model, by name or with its parameters.
        relative_to: what eta is relative to; see `inject`.
        placement: where the noise goes: keyword arguments of `inject`, such as exclude.
        gates: conditions such as "top1>=0.90@eta=0.05".
        backends: names of the backends to check, of `nmtool list backends`; None: all that are installed.
        custom_ops: operator libraries of the user's, for ONNX Runtime.
        device: "cuda" is an NVIDIA GPU or an error, "cpu" the CPU, for ONNX Runtime and other backends that have a
            choice; "auto" leaves it to them. What they are compared with is computed on the CPU.
        select: beginnings of the codes of rules to apply; none: all.
        ignore: beginnings of the codes of rules to leave out.
        trials: noise samples of statistical rules.
        max_trials: noise samples after which a gate that is not decided fails.
        alpha: chance of a false alarm of each statistical rule; gates have a confidence of 1 - alpha.
        seed: of random inputs, and of noise that is injected.
        data_options: how to read and prepare the data.
        progress: called with the rules done, all there are, and what is done next.

    Returns:
        The report; its `passed` is false when a rule found an error.

    Raises:
        UsageError: an option or the data is wrong.
        ModelError: the file is not an ONNX model at all.
        SetupError: a backend that was asked for by name does not exist, or there is no such device.
    """
    _require(trials, max_trials, alpha, backends)
    chosen = _chosen(select, ignore)
    outcomes: list[Outcome] = []

    def report(done: int, text: str) -> None:
        if progress is not None:
            progress(done, len(chosen), text)

    def report_part(what: str, done: int, total: int) -> None:
        report(len(outcomes), f"{what}, {done} of {total}")

    subject = Subject(
        Request(
            model=model,
            against=against,
            data=data,
            data_options=data_options or DataOptions(),
            noise=None if eta is None and isinstance(noise, str) else resolved(noise, eta, relative_to),
            placement=placement or {},
            backends=backends,
            custom_ops=custom_ops,
            device=device,
            gates=[parse(gate) for gate in gates],
            trials=trials,
            max_trials=max_trials,
            alpha=alpha,
            seed=seed,
            progress=report_part,
        )
    )
    _require_usable(subject)
    for number, name in enumerate(chosen):
        rule = rules.load(name)
        report(number, rule.title)
        outcomes.append(rules.apply(rule, subject))
    report(len(chosen), "")
    return Report(_name(model), _facts(model, against, alpha, seed), outcomes)


def _require(trials: int, max_trials: int, alpha: float, wanted: Sequence[str] | None) -> None:
    if trials < 20:
        raise UsageError(f"trials must be at least 20, not {trials}: fewer cannot tell distributions apart")
    if max_trials < 2:
        raise UsageError(f"max_trials must be at least 2, not {max_trials}")
    if not 0 < alpha < 0.5:
        raise UsageError(f"alpha must be between 0 and 0.5, not {alpha}")
    for name in wanted or ():
        if name not in names():
            raise UsageError(f"no backend is named {name!r}", hint=f"choose one of: {', '.join(names())}")


def _require_usable(subject: Subject) -> None:
    """Data, placement and gates fit the model, where it is sound enough to tell; rules say what is wrong with it."""
    try:
        if subject.request.device == "cuda":
            subject.on("onnxruntime", "clean")
        _ = subject.data, subject.noisy
        validate(subject)
    except ModelError:
        return


def _chosen(select: Sequence[str], ignore: Sequence[str]) -> list[str]:
    """Modules of the rules to apply."""

    def matches(name: str, codes: Sequence[str]) -> bool:
        return any(name.upper().startswith(code.upper()) for code in codes)

    for code in (*select, *ignore):
        if not any(matches(name, [code]) for name in RULES):
            raise UsageError(f"no rule has a code that begins with {code!r}", hint="`nmtool explain` lists them")
    return [name for name in RULES if (not select or matches(name, select)) and not matches(name, ignore)]


def _name(model: Source) -> str:
    return os.fspath(model) if isinstance(model, (str, os.PathLike)) else model.graph.name or "model"


def _digest(model: Source) -> str | None:
    try:
        return digest(model)
    except ModelError:  # one in memory that is malformed: rules say how
        return None


def _facts(model: Source, against: Source | None, alpha: float, seed: int) -> dict[str, Any]:
    return {
        "model_sha256": _digest(model),
        "against_sha256": None if against is None else _digest(against),
        "alpha": alpha,
        "seed": seed,
        "versions": versions(),
    }
