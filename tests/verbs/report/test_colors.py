"""Colors can be read in both schemes: contrasts as WCAG 2.2 defines them."""

import re
from pathlib import Path

import pytest

import nmtool.verbs.report.page

STYLE = (Path(nmtool.verbs.report.page.__file__).parent / "templates/style.css").read_text()
LIGHT, DARK = (
    dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", rule)) for rule in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
)


def luminance(color):
    channels = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_contrasts(scheme):
    text = [(name, back) for name in ("text", "soft", "accent") for back in ("page", "card")]
    text += [("soft", "plain-back"), *((state, f"{state}-back") for state in ("good", "bad", "warn"))]
    for name, back in text:
        assert contrast(scheme[name], scheme[back]) >= 4.5, (name, back)
    for name in (f"c{k}" for k in range(6)):
        assert contrast(scheme[name], scheme["card"]) >= 3, name


def test_both_schemes_have_all_colors():
    assert LIGHT.keys() == DARK.keys()
