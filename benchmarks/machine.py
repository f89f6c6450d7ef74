"""The line that every benchmark begins with: what it ran on, and how busy that was."""

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path


def machine(*packages: str) -> str:
    """Versions, processor, number of cores and load average; a load near 0 is what figures should be taken at."""
    cpuinfo = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.is_file() else None
    versions = ", ".join(f"{package} {version(package)}" for package in ("nmtool", *packages))
    cpu = named[1] if named else platform.processor() or platform.machine()
    return f"{versions}; {os.cpu_count()} cores of {cpu}, load average {os.getloadavg()[0]:.1f}"
