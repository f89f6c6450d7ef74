"""The metric under noise is past its gate.

Each gate, such as `top1>=0.90@eta=0.05`, is a statement about the mean of a metric over all noise samples, on the data
of the check. A trial is one noise sample for the whole data set, as one chip has it. A model without noise gets that
of the check (Gaussian by default, Zhou et al. 2020) at the gate's eta; the noise of a noisy model is scaled to it, in
the units of its own record; without an eta the gate is about the model's own strength.

The mean is measured on few trials, so the gate passes only when a one-sided confidence bound of it, by Student's t over
the trials, is past the bound. It is looked at after 5, 10, 20, … trials and after max_trials, and decided as soon as
the bound is on one side; each look has its share of alpha (Bonferroni), so the chance that a gate passes whose mean is
not past it is at most alpha, and likewise the opposite. A gate that is not decided after max_trials fails. At eta 0
there is nothing random: one evaluation decides.

Student's t assumes that the metric of single chips is roughly normal. It is not where few chips fail badly and the
others hardly: then the first trials may miss the failures, and a worst chip says more than the mean. The interval
covers the choice of noise samples, not that of the data.

To fix: train the model to bear the noise with `nmtool distill`, keep its most sensitive layers digital
(--exclude), or set the gate where the model is. For a gate that is not decided, give more --max-trials.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from nmtool.checks.accuracy import Meter, Verdict, decide, holds, strength
from nmtool.checks.finding import Finding, error, not_checked, note, warning
from nmtool.checks.gates import Gate
from nmtool.checks.subject import Subject
from nmtool.errors import NmtoolError

_FIX = "train it for the noise with `nmtool distill`; `nmtool explain NM401` has more"


def check(subject: Subject) -> Iterator[Finding]:
    """Measure gate after gate."""
    if not subject.request.gates:
        yield not_checked("there is no gate", "--gate 'top1>=0.90@eta=0.05'")
        return
    with TemporaryDirectory(prefix="nmtool-") as folder:
        try:
            meter = Meter(subject, Path(folder))
            for gate in subject.request.gates:
                yield _judge(subject, meter, gate)
        except NmtoolError as failure:  # a gate that cannot be measured has not passed
            yield error(f"gates cannot be measured: {failure.message}", failure.hint or _FIX)
            return
        if not meter.reproducible:
            message = "below opset 18 and without the operator library every batch has a noise sample of its own"
            yield warning(message, "build the library (`nmtool doctor`): else gates are not about single chips")


def _judge(subject: Subject, meter: Meter, gate: Gate) -> Finding:
    request, eta = subject.request, strength(subject, gate)

    def value(trial: int) -> float:
        subject.progress(f"gate {gate}", trial, request.max_trials)
        return meter.measure(gate.metric, eta, trial)

    if eta == 0:
        clean = value(0)
        verdict = Verdict("passed" if holds(gate, clean) else "failed", clean, clean, clean, 1)
    else:
        verdict = decide(gate, value, request.max_trials, request.alpha)
    facts = {"gate": str(gate), "eta": eta, **vars(verdict), "confidence": 1 - request.alpha}
    bounds = "" if eta == 0 else f", {verdict.low:.4g} to {verdict.high:.4g} with {1 - request.alpha:.3g} confidence"
    trials = "1 trial" if verdict.trials == 1 else f"{verdict.trials} trials"
    measured = f"{gate.metric} at eta {eta:g} is {verdict.mean:.4g} in {trials}{bounds}"
    if verdict.decision == "passed":
        return note(f"gate {gate} passed: {measured}", **facts)
    if verdict.decision == "failed":
        return error(f"gate {gate} failed: {measured}", _FIX, **facts)
    return error(f"gate {gate} is not decided: {measured}", "give more --max-trials, or move the gate", **facts)
