"""Device models, one per file."""

from nmtool.noise.device import Device
from nmtool.noise.devices.additive import Additive
from nmtool.noise.devices.drift import Drift
from nmtool.noise.devices.faults import Faults
from nmtool.noise.devices.hermes import Hermes
from nmtool.noise.devices.levels import Levels
from nmtool.noise.devices.lognormal import Lognormal
from nmtool.noise.devices.multiplicative import Multiplicative
from nmtool.noise.devices.mzi import Mzi
from nmtool.noise.devices.pcm import Pcm
from nmtool.noise.devices.polynomial import Polynomial
from nmtool.noise.devices.reram_cmo import ReramCmo
from nmtool.noise.devices.reram_wan import ReramWan
from nmtool.noise.devices.sram import Sram
from nmtool.noise.devices.uniform import Uniform

DEVICES: dict[str, type[Device]] = {
    device.name: device
    for device in (
        Additive,
        Drift,
        Faults,
        Hermes,
        Levels,
        Lognormal,
        Multiplicative,
        Mzi,
        Pcm,
        Polynomial,
        ReramCmo,
        ReramWan,
        Sram,
        Uniform,
    )
}
"""The device models by name."""
