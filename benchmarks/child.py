"""Time and memory of code in a process of its own. Linux only; what big_model.py and big_transformer.py share.

"Memory" is the peak of what the process itself holds (anonymous memory) and, in the second column, of all its resident
memory, pages of mapped files included; both above an idle process with the same imports.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

_STATUS = Path("/proc/self/status")


def table(codes: Mapping[str, str], folder: Path) -> None:
    """Run each piece of code in the folder, and print a line for each."""
    print(f"{'':26}{'seconds':>9}{'memory, MB':>12}{'with mapped files, MB':>23}")
    for name, code in codes.items():
        command = [sys.executable, __file__, code]
        result = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True)
        if result.returncode:
            print(f"{name:26} failed", flush=True)
            continue
        seconds, private, resident = map(float, result.stdout.split()[-3:])
        print(f"{name:26}{seconds:9.1f}{private:12.0f}{resident:23.0f}", flush=True)


def measure(code: str) -> None:
    """Run the code; print seconds, and the peaks of anonymous and of all resident memory above the start, in MB."""
    for line in code.splitlines():
        if line.startswith("from "):
            exec(line)
    before, stop, peak = memory(), threading.Event(), list(memory())

    def watch() -> None:
        while not stop.wait(0.01):
            for k, value in enumerate(memory()):
                peak[k] = max(peak[k], value)

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    exec(code, {})
    seconds = time.perf_counter() - start
    stop.set()
    watcher.join()
    print(seconds, *(high - low for high, low in zip(peak, before, strict=True)))


def memory() -> tuple[float, float]:
    """Anonymous and all resident memory of this process, in MB."""
    fields = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    anonymous, resident = (int(fields[key].split()[0]) * 1024 / 1e6 for key in ("RssAnon", "VmRSS"))
    return anonymous, resident


if __name__ == "__main__":
    measure(sys.argv[1])
