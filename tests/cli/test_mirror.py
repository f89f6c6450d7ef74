"""The command line mirrors the Python API: same names, same defaults."""

import inspect

import pytest
import typer

import nmtool
from nmtool.cli.app import app

COMMANDS = {name.replace("-", "_"): command for name, command in typer.main.get_command(app).commands.items()}
VERBS = sorted(COMMANDS.keys() & set(nmtool.__all__))


def test_every_verb_of_the_api_is_a_command():
    assert VERBS == [
        "analyze",
        "bake",
        "calibrate",
        "calibrate_bn",
        "check",
        "clip",
        "compile",
        "distill",
        "doctor",
        "explain_session",
        "inject",
        "report",
        "run",
        "strip",
        "sweep",
    ]


@pytest.mark.parametrize("verb", VERBS)
def test_defaults_are_the_same(verb):
    options = {option.name: option for option in COMMANDS[verb].params}
    options.pop("batch_size", None)  # None means 64 for everything that the command line can name
    for name, parameter in inspect.signature(getattr(nmtool, verb)).parameters.items():
        if name in options and parameter.default is not inspect.Parameter.empty:
            assert (options[name].default or None) == (parameter.default or None), name


def test_eta_of_a_sweep_has_the_default_of_the_api():
    default = inspect.signature(nmtool.sweep).parameters["etas"].default
    assert {option.name: option.default for option in COMMANDS["sweep"].params}["eta"] == default


@pytest.mark.parametrize("verb", ["inject", "bake", "strip", "clip", "compile", "explain_session"])
def test_no_parameter_of_the_api_is_out_of_reach(verb):
    options = {option.name for option in COMMANDS[verb].params}
    assert set(inspect.signature(getattr(nmtool, verb)).parameters) <= options


def test_all_settings_of_a_calibration_are_in_reach():
    missing = set(inspect.signature(nmtool.calibrate_bn).parameters) - {o.name for o in COMMANDS["calibrate_bn"].params}
    assert missing == {"data_options", "progress"}


def test_all_settings_of_an_analysis_are_in_reach():
    missing = set(inspect.signature(nmtool.analyze).parameters) - {o.name for o in COMMANDS["analyze"].params}
    renamed = {"output", "results", "injection", "data_options", "progress", "backend_options"}  # by other options
    assert missing == renamed
