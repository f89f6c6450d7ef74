"""Descriptions of the periphery: what is refused, and what they amount to."""

from typing import Any

import pytest

from nmtool.errors import UsageError
from nmtool.hardware.periphery import Converter, Periphery, Receiver, Tile


@pytest.mark.parametrize(
    ("settings", "levels"),
    [
        ({"bits": 8}, 127),
        ({"bits": 8, "signed": False}, 255),
        ({"steps": 254}, 127),
        ({"steps": 255, "signed": False}, 255),
        ({"bits": 1, "signed": False}, 1),
        ({"bits": 2}, 1),
        ({}, None),
    ],
)
def test_steps_from_zero_to_the_range(settings: dict[str, Any], levels: int | None) -> None:
    assert Converter(**settings).levels == levels


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bits": 8, "steps": 254}, "bits or steps, not both"),
        ({"bits": 1}, "2 to 24, not 1"),
        ({"bits": 25}, "not 25"),
        ({"steps": 255}, "even number"),
        ({"range": 0.0}, "> 0, not 0.0"),
        ({"range": float("inf")}, "finite"),
        ({"range": "static"}, "not 'static'"),
        ({"range": "dynamic", "unit": "cell"}, "give no unit"),
        ({"range": 1.0, "unit": "volt"}, "not 'volt'"),
        ({"range": 1.0, "per_tile": True}, "per tile"),
        ({"noise": -1.0}, "noise of"),
        ({"percentile": 0.0}, "percentile"),
        ({"percentile": 101.0}, "percentile"),
    ],
)
def test_impossible_converters(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Converter(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"input": Converter(range=1.0, unit="cell")}, "units of its signal"),
        ({"input": Converter(per_tile=True)}, "same for all tiles"),
        ({"output": Converter(range=10.0, unit="cell")}, "needs an input range"),
        ({"receiver": Receiver(0.1)}, "relative to the output range"),
        ({"serial": 1}, "bit-serial inputs need"),
        ({"serial": 1, "input": Converter(range=1.0)}, "bit-serial inputs need"),
        ({"serial": 0, "input": Converter(8, range=1.0)}, "at least 1, not 0"),
        ({"read_noise": float("nan")}, "read_noise"),
    ],
)
def test_impossible_peripheries(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Periphery(**settings)


@pytest.mark.parametrize("settings", [{"rows": 0}, {"columns": -1}, {"bit_line": -1.0}, {"word_line": float("inf")}])
def test_impossible_tiles(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(settings))):
        Tile(**settings)


def test_what_is_ideal() -> None:
    assert Periphery().is_ideal
    assert Periphery(tile=Tile(rows=4, bit_line=0.1)).is_ideal
    assert Periphery(tile=Tile(rows=4, bit_line=0.1)).tile.has_wires
    assert not Periphery(input=Converter(8)).is_ideal
    assert not Periphery(input=Converter(8)).acts_on_outputs
    assert Periphery(read_noise=0.1).acts_on_outputs


def test_passes_cover_all_bits() -> None:
    dac = Converter(bits=8, range=1.0)
    assert Periphery(input=dac, serial=1).pass_powers == (1, 2, 4, 8, 16, 32, 64)
    assert Periphery(input=dac, serial=3).pass_powers == (1, 8, 64)
    assert Periphery(input=dac, serial=7).pass_factors == (1.0,)
    assert Periphery(input=dac).pass_powers == ()
