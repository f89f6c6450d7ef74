"""Hardware profiles: what is shipped, what a user's file may say, and what it is told when it is wrong."""

import json

import pytest

from nmtool.errors import UsageError
from nmtool.hardware import Hardware
from nmtool.hardware.profile import load, parsed, recorded, shipped, text
from nmtool.hardware.units import seconds
from nmtool.noise.base import parameters
from nmtool.noise.cell import Cell
from nmtool.noise.gaussian import Gaussian

SHIPPED = ("ideal", "paper", "pcm", "pcm-hermes", "reram-wan", "sram-imc", "photonic-mzi", "generic-imc-8bit")


def test_what_is_shipped():
    assert set(shipped()) == set(SHIPPED)
    assert all(len(description) > 20 for description in shipped().values())


@pytest.mark.parametrize("name", SHIPPED)
def test_a_profile_cites_its_source_and_survives_its_record(name):
    hardware = load(name)
    assert hardware.table["sources"]
    again = recorded(json.loads(json.dumps(parameters(hardware))))
    assert again == hardware


def test_values_of_the_profiles():
    pcm = load("pcm")
    assert pcm.time == 86400
    assert isinstance(pcm.layer.weights, Cell)
    assert pcm.layer.weights.compensation == "array"
    assert load("paper").layer.weights == Gaussian(0.05)
    assert load("generic-imc-8bit").layer.periphery.output.levels == 127


def test_changes():
    hardware = load("pcm", ["time=30d", "weights.compensation=none", "weights.devices.0.t0=50", "digital.first=1"])
    assert (hardware.time, hardware.layer.weights.compensation) == (30 * 86400, "none")
    assert hardware.layer.weights.devices[0].t0 == 50
    assert hardware.digital.first == 1
    assert load(hardware, ["time=1h"]).time == 3600
    assert load("pcm").time == 86400  # the shipped one is as it was


def test_layers_of_a_file(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(
        """
        description = "two kinds of arrays"
        [weights]
        devices = [{ name = "pcm" }, { name = "faults", low = 0.01 }]
        [digital]
        last = 1
        ops = ["LSTM"]
        [[layers]]
        nodes = ["head*", "stem"]
        weights = { model = "gaussian", eta = 0.02 }
        """
    )
    hardware = load(file)
    assert [device.name for device in hardware.of("block1").weights.devices] == ["pcm", "faults"]
    assert hardware.of("head/fc").weights == Gaussian(0.02) == hardware.of("stem").weights
    assert hardware.digital.reason("a", "LSTM", 1, 5) == "the hardware computes it digitally"
    assert "last 1" in hardware.digital.reason("a", "Conv", 4, 5)
    assert hardware.digital.reason("a", "Conv", 3, 5) == ""
    assert isinstance(hardware, Hardware)
    assert text(file).startswith("\n        description")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("color=red", "no parameter 'color'"),
        ("weights.scale=chanel", "'array' or 'channel', not 'chanel'"),
        ("weights.devices.0.name=pmc", "no device is called 'pmc'"),
        ("weights.devices.0.t0=-1", "t0"),
        ("weights.devices.0.t0=soon", "must be a number, not 'soon'"),
        ("weights.devices.0.bits=8", "no parameter 'bits'"),
        ("weights.model=gaussian", "either `model`, a noise model, or `devices`"),
        ("time=-1s", "not a time: '-1s'"),
        ("time=3 parsecs", "not a time"),
        ("periphery.output.bits=0", "bits of a converter"),
        ("periphery.output.bits=8.5", "a whole number"),
        ("periphery.output.range=-1", "range of a converter must be a finite number > 0"),
        ("periphery.tile.rows=0", "rows of a tile"),
        ("digital.first=one", "must be a whole number"),
        ("digital.nodes=3", "a text or a list of texts"),
        ("layers=3", "layers must be tables"),
        ("nonsense", "KEY=VALUE"),
    ],
)
def test_what_is_wrong_is_named(change, message):
    with pytest.raises(UsageError) as caught:
        load("pcm", [change])
    assert message in caught.value.message
    assert "in hardware pcm" in caught.value.message


def test_files_that_are_none(tmp_path):
    with pytest.raises(UsageError, match="no hardware is named 'pcn'"):
        load("pcn")
    broken = tmp_path / "broken.toml"
    broken.write_text("weights = ")
    with pytest.raises(UsageError, match="is no TOML"):
        load(broken)


@pytest.mark.parametrize(
    ("written", "value"),
    [(3, 3.0), ("3", 3.0), ("250ns", 250e-9), ("1.5 h", 5400.0), ("1y", 31557600.0), ("2MIN", 120)],
)
def test_times(written, value):
    assert seconds(written) == pytest.approx(value)


def test_values_are_those_of_toml_or_texts():
    assert [parsed(value) for value in ("3", "3.5", "true", '"a"', "a", "[1, 2]", "1d")] == [
        3, 3.5, True, "a", "a", [1, 2], "1d",
    ]  # fmt: skip
