"""What the engine cannot do is said by name, with a way out."""

import pytest

from nmtool.errors import UsageError
from nmtool.noise import noise_model
from nmtool.recipes import Recipe

torch = pytest.importorskip("torch")
from nmtool.training.ort_engine.refusal import require, unbuildable
from nmtool.training.process import Process
from nmtool.training.student import Placement

ALONE = Process(0, 1, torch.device("cpu"))
GAUSSIAN = noise_model("gaussian", {"eta": 1.0})


@pytest.fixture(autouse=True)
def _installed(monkeypatch):
    monkeypatch.setattr("nmtool.training.ort_engine.refusal.installation", lambda name: None)


def check(recipe=None, noise=GAUSSIAN, placement=None, process=ALONE, amp=False, compiled=False):
    require(recipe or Recipe(momentum=0.0), noise, placement or Placement(), process, amp=amp, compiled=compiled)


@pytest.mark.parametrize(
    "settings",
    [
        {"momentum": 0.0},
        {"optimizer": "adamw"},
        {"optimizer": "adamw", "draws": 4, "antithetic": True, "clip": 2.0, "clip_per": "channel", "ema": 0.9},
        {"optimizer": "adamw", "eta_schedule": "random", "accumulate": 2, "gradient_clip": 0.0, "alpha": 0.5},
    ],
    ids=str,
)
def test_what_it_can_do(settings):
    check(Recipe(**settings))


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"recipe": Recipe()}, "sgd without momentum only", "--optimizer adamw"),
        ({"recipe": Recipe(momentum=0.0, weight_decay=0.1)}, "one weight decay", "--weight-decay 0"),
        ({"recipe": Recipe(momentum=0.0, features=0.1)}, "no matching of features", "--features 0"),
        ({"recipe": Recipe(momentum=0.0, sharpness=0.1)}, "no sharpness-aware steps", "--sharpness 0"),
        ({"noise": noise_model("stuck", {"eta": 1.0})}, "gaussian and lognormal only, not stuck", "choose"),
        ({"placement": Placement(dynamic=True)}, "no noise on activations", "--dynamic"),
        ({"process": Process(0, 2, torch.device("cpu"))}, "one process only", "torchrun"),
        ({"process": Process(0, 1, torch.device("cuda"))}, "no GPU", "--device cpu"),
        ({"amp": True}, "no mixed precision", "--amp"),
        ({"compiled": True}, "compile", "--compile"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_it_cannot(options, message, hint):
    with pytest.raises(UsageError, match=message) as raised:
        check(**options)
    assert raised.value.message.startswith("the engine ort has ")
    assert hint in raised.value.hint
    assert "--engine torch" in raised.value.hint


LOCATION = "RuntimeError: /onnxruntime_src/orttraining/gradient_builder_registry.cc:29 GradientDef GetGradientForOp() "


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            f"{LOCATION}was false. The gradient builder has not been registered: HardSwish for node act\n",
            "the engine ort has no gradient for HardSwish: node 'act'",
        ),
        (
            f"{LOCATION}Could not find an implementation for ConvTransposeGrad(1) node with name 'up/g'",
            "the engine ort cannot run ConvTransposeGrad: node 'up/g'",
        ),
        ("IndexError: out of range\n", "the engine ort cannot build the gradient: IndexError: out of range"),
    ],
)
def test_what_the_engine_says_is_put_in_short(said, message):
    assert unbuildable(said).message == message
