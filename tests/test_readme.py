"""The commands and the Python of README.md and docs/ run as they are printed.

A block that starts with ```console is a list of commands after `$ `, without their output; ```python is a script.
The blocks of a page run in order, in one folder that holds the digits example.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_run(page, cli, workspace, monkeypatch):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    for kind, text in BLOCK.findall(page.read_text()):
        if kind == "python":
            in_shell([sys.executable, "-c", text])
            continue
        for line in re.findall(r"^\$ (.*)", text, re.MULTILINE):
            program, *arguments = shlex.split(line)
            if program == "nmtool" and ">" not in arguments:
                result = cli(*arguments)
                assert result.code == 0, f"{line}\n{result.err}"
            else:
                in_shell(["sh", "-c", line])


def in_shell(command):
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0, f"{command[-1]}\n{process.stdout}{process.stderr}"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target
