"""The documentation site: what its pages promise to hold. `make docs` builds it, and refuses broken links."""

from pathlib import Path

import pytest

import nmtool

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("name", [name for name in nmtool.__all__ if not name.startswith("__")])
def test_every_public_function_is_in_the_reference(name):
    assert f"::: nmtool.{name}\n" in (DOCS / "api/functions.md").read_text()


def test_every_device_is_in_the_reference_and_on_its_page():
    from nmtool.noise import DEVICES

    reference, page = (DOCS / "api/noise.md").read_text(), (DOCS / "devices.md").read_text()
    for name, device in DEVICES.items():
        assert f"::: {device.__module__}.{device.__name__}\n" in reference
        assert f"| `{name}` |" in page
