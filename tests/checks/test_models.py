"""The shared models pass the rules that take seconds; what does not pass has a reason."""

from pathlib import Path

import pytest

import nmtool

MODELS = sorted((Path(__file__).parents[3] / "shared" / "models").glob("*.onnx"))
RULES = ["NM0", "NM1", "NM204", "NM206", "NM301", "NM302", "NM303"]

# model -> codes of rules that find something, with the reason
EXCEPTIONS = {
    "pfld-106-lite": ["NM006"],  # weights of dead channels are denormal, as trained
    "ultraface-slim-320": ["NM006"],  # likewise
    "sklearn-randomforest": ["NM002"],  # trees do not convert to torch
}


@pytest.mark.skipif(not MODELS, reason="the shared models are not there")
@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_shared_models_pass(path):
    # Noise of the runtime's own has one seed in a process: an unlucky one would fail all models at once.
    report = nmtool.check(path, against=path, eta=0.02, select=RULES, backends=["onnxruntime", "torch"], alpha=1e-4)
    found = {outcome.code for outcome in report.outcomes if outcome.status in ("error", "warning")}
    assert found == set(EXCEPTIONS.get(path.stem, ()))
