"""The page in a real browser, headless: it loads without complaints, and fits on a phone."""

import html
import json
import re
import shutil
import subprocess

import pytest

import nmtool

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="needs chromium")

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=5000",
    "--dump-dom",
]

# The page in frames of two widths, and what a script outside of it measures in them.
PROBE = """<!DOCTYPE html><meta charset="utf-8"><pre id="result"></pre>
<iframe width="390" height="800" srcdoc="{page}"></iframe><iframe width="1280" height="800" srcdoc="{page}"></iframe>
<script>
onload = () => result.textContent = JSON.stringify([...document.querySelectorAll("iframe")].map(frame => {{
  const page = frame.contentDocument, sizes = [...page.querySelectorAll(".plot > svg")].map(svg => {{
    const box = svg.getBoundingClientRect();
    return [Math.round(box.width), Math.round(box.height)];
  }});
  const text = [...page.querySelectorAll(".plot span")].map(each => parseFloat(getComputedStyle(each).fontSize));
  return {{
    width: page.documentElement.clientWidth, content: page.documentElement.scrollWidth,
    sections: page.querySelectorAll("main > section").length, plots: sizes, smallest: Math.min(...text),
  }};
}}));
</script>"""


@needs_browser
def test_it_fits_on_a_phone_and_on_a_desk(study, tmp_path):
    nmtool.report(study, tmp_path / "page.html")
    probe = tmp_path / "probe.html"
    probe.write_text(PROBE.format(page=html.escape((tmp_path / "page.html").read_text())))
    command = [BROWSER, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1800,900", probe.as_uri()]
    dump = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    found = re.search(r'<pre id="result">(.*?)</pre>', dump)
    assert found, dump[:500]
    phone, desk = json.loads(html.unescape(found[1]))
    assert phone["sections"] == desk["sections"] == 12
    assert phone["content"] <= phone["width"] <= 390  # nothing makes the page wider than the screen
    assert desk["content"] <= desk["width"] <= 1280
    assert all(250 <= width <= 390 and height >= 200 for width, height in phone["plots"])
    assert all(width >= 300 and height >= 200 for width, height in desk["plots"])
    assert phone["smallest"] >= 12  # pixels of the labels
