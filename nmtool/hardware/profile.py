"""Hardware profiles: TOML files that describe analog hardware."""

import copy
import os
import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from nmtool.errors import UsageError
from nmtool.hardware.hardware import Digital, Hardware, Layer, Ranges
from nmtool.hardware.periphery import Periphery
from nmtool.hardware.units import seconds
from nmtool.noise import noise_model
from nmtool.noise.base import NoiseModel
from nmtool.noise.cell import Cell
from nmtool.table import build, require_known

_KEYS = ("description", "sources", "time", "weights", "periphery", "digital", "layers", "ranges")
RANGES = ("input_range", "output_range")
"""The ranges that a node may have: of its input converter, and of the converters of its partial sums."""

_PROFILES = files("nmtool.hardware") / "profiles"


def shipped() -> dict[str, str]:
    """Name -> description of the profiles that come with nmtool."""
    names = sorted(Path(file.name).stem for file in _PROFILES.iterdir() if file.name.endswith(".toml"))
    return {name: str(tomllib.loads(text(name))["description"]) for name in names}


def text(profile: str | os.PathLike[str]) -> str:
    """The TOML of a profile by name, or of a file.

    Raises:
        UsageError: there is neither, or the file cannot be read.
    """
    named = _PROFILES / f"{profile}.toml"
    if Path(profile).suffix == "" and named.is_file():
        return named.read_text()
    path = Path(profile)
    if not path.is_file():
        raise UsageError(f"no hardware is named {str(profile)!r}", f"choose {', '.join(shipped())} or a TOML file")
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read hardware {path}: {error}") from error


def load(
    profile: "str | os.PathLike[str] | Mapping[str, Any] | Hardware",
    changes: Iterable[str] = (),
    calibration: str | os.PathLike[str] | None = None,
) -> Hardware:
    """Hardware by the name of a shipped profile, from a TOML file, or from the table that such a file holds.

    Args:
        profile: name, path, table, or hardware, which is taken as it is.
        changes: values to set, as "weights.compensation=array" or "time=1d": the path of a key in the table, and the
            value as TOML has it; quotes may be left out.
        calibration: file with the ranges of converters, of `nmtool calibrate`.

    Raises:
        UsageError: there is no such profile or file, or a key or a value in it is wrong.
    """
    if isinstance(profile, Hardware):
        profile = profile.table
    if isinstance(profile, Mapping):
        table, name = copy.deepcopy(dict(profile)), "the hardware table"
    else:
        name = f"hardware {profile}"
        try:
            table = tomllib.loads(text(profile))
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{name} is no TOML: {error}") from error
    try:
        for change in changes:
            _set(table, change)
        if calibration is not None:
            table["ranges"] = _read(Path(calibration)).get("ranges", {})
        return _hardware(table)
    except UsageError as error:
        raise UsageError(f"in {name}: {error.message}", error.hint) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read calibration {path}: {error}", hint="`nmtool calibrate` writes one") from error


def recorded(record: Mapping[str, Any]) -> NoiseModel | Cell | Hardware:
    """The noise that a record of a model describes: the inverse of `nmtool.noise.base.parameters`.

    Raises:
        UsageError: there is no such noise, or it has no such parameters.
    """
    settings = {name: value for name, value in record.items() if name != "model"}
    if record.get("model") == Hardware.name:
        return load(settings.get("table", {}))
    return noise_model(str(record.get("model")), settings)


def _hardware(table: dict[str, Any]) -> Hardware:
    require_known(table, _KEYS, "the profile")
    layers = table.get("layers", [])
    if not isinstance(layers, list) or not all(isinstance(each, Mapping) for each in layers):
        raise UsageError("layers must be tables: [[layers]]")
    overrides = []
    for number, layer in enumerate(layers):
        where = f"layers[{number}]"
        require_known(layer, ("nodes", "weights", "periphery"), where)
        patterns = _texts(layer.get("nodes"), f"{where}.nodes")
        overrides += [(pattern, _layer({**table, **layer}, where)) for pattern in patterns]
    digital = table.get("digital", {})
    lists = {key: tuple(_texts(digital[key], f"digital.{key}")) for key in ("nodes", "ops") if key in digital}
    counts = {key: value for key, value in digital.items() if key not in lists}
    return Hardware(
        _layer(table, "the profile"),
        tuple(overrides),
        Digital(**{**vars(build(Digital, counts, "digital")), **lists}),
        seconds(table.get("time", 0.0)),
        _ranges(table.get("ranges", {})),
        table,
    )


def _layer(table: Mapping[str, Any], where: str) -> Layer:
    periphery = build(Periphery, table["periphery"], f"{where}: periphery") if "periphery" in table else None
    return Layer(_weights(table.get("weights", {}), f"{where}: weights"), periphery)


def _weights(table: Any, where: str) -> NoiseModel | Cell | None:
    """What holds the weights: a noise model by name, or the devices of a cell."""
    if not isinstance(table, Mapping):
        raise UsageError(f"{where} must be a table, not {table!r}")
    if not table:
        return None
    if ("model" in table) == ("devices" in table):
        raise UsageError(f"{where} must have either `model`, a noise model, or `devices`")
    rest = {key: value for key, value in table.items() if key != "model"}
    try:
        return noise_model(table.get("model", Cell.name), rest)
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}", error.hint) from error


def _ranges(table: Any) -> Ranges:
    """Ranges as `nmtool calibrate` finds them."""
    if not isinstance(table, Mapping) or not all(isinstance(each, Mapping) for each in table.values()):
        raise UsageError("ranges must be a table for each node", hint="they are what `nmtool calibrate` writes")
    for node, each in table.items():
        require_known(each, RANGES, f"ranges of {node}")
        for name, value in each.items():
            numbers = np.asarray(value, object).reshape(-1).tolist()
            if not numbers or not all(type(x) in (int, float) and 0 < x < float("inf") for x in numbers):
                raise UsageError(f"{name} of {node} must be finite numbers > 0")
    return table


def _set(table: dict[str, Any], change: str) -> None:
    """Set one value of the table."""
    path, sign, value = change.partition("=")
    if not sign:
        raise UsageError(f"a change of hardware is KEY=VALUE, not {change!r}")
    *parents, last = path.strip().split(".")
    place: Any = table
    for parent in parents:
        place = place[int(parent)] if isinstance(place, list) and parent.isdecimal() else place.setdefault(parent, {})
        if not isinstance(place, dict | list):
            raise UsageError(f"{path} is no path in the hardware: {parent} is a value")
    place[last] = parsed(value)


def parsed(value: str) -> Any:
    """A value as TOML has it, or else the text itself."""
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return value.strip()


def _texts(value: Any, where: str) -> list[str]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise UsageError(f"{where} must be a text or a list of texts, not {value!r}")
    return values
