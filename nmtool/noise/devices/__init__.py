"""Device models, one per file."""

from nmtool.noise.device import Device
from nmtool.noise.devices.pcm import Pcm

DEVICES: dict[str, type[Device]] = {device.name: device for device in (Pcm,)}
