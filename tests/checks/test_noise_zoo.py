"""What inject writes passes the rules of the noise, on every model of the zoo and with every noise model."""

import onnx_ir as ir
import pytest
from zoo import ZOO

from nmtool import provenance
from nmtool.checks.rule import apply, load
from nmtool.checks.subject import Request, Subject
from nmtool.errors import UsageError
from nmtool.noise import NOISE_MODELS, Stuck
from nmtool.verbs.inject import inject

NAMES = [name for name in ZOO if not name.startswith("opset_") or name in ("opset_7", "opset_13", "opset_18")]
OPTIONS = {
    "gaussian": {},
    "lognormal": {"noise": "lognormal"},
    "stuck": {"noise": Stuck(0.1, high=0.5)},
    "channels": {"per_channel": True, "seed": -3},
    "lognormal_channels": {"noise": "lognormal", "per_channel": True},
    "fresh": {"fresh": True},
    "dynamic": {"dynamic": True},
}
DRAWN = ("gaussian", "lognormal", "stuck", "channels")
"""Where NM303 has something of its own to measure."""


def test_every_noise_model_is_tried():
    assert set(NOISE_MODELS) <= set(OPTIONS)


def test_stuck_faults_have_no_channels():
    with pytest.raises(UsageError, match="no per-channel form"):
        inject(ZOO["matmul_right"].proto, noise="stuck", per_channel=True)


@pytest.mark.parametrize("name", NAMES)
def test_the_zoo_passes(name):
    entry = ZOO[name]
    for option, options in OPTIONS.items():
        model = inject(entry.proto, **{**entry.options, **options}).model
        record = provenance.read(model)
        assert record is not None
        subject = Subject(Request(ir.to_proto(model), alpha=1e-6))
        provenance.write(subject.declared.model, record)
        assert ir.to_proto(subject.declared.model) == ir.to_proto(model)  # so any other difference is someone else's
        for rule in ("nm301_parameters", "nm302_streams", *(("nm303_sigma",) if option in DRAWN else ())):
            result = apply(load(rule), subject)
            assert [finding for finding in result.findings if finding.severity != "note"] == []
        if option in DRAWN:
            for each in result.findings[-1].facts["arrays"]:
                tolerance = 0.2 if option == "stuck" else 0.05
                assert each["declared"] is None or each["measured"] == pytest.approx(each["declared"], rel=tolerance)
