"""What is published: the source archive, and the wheel built from it, hold what they should and nothing else."""

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = re.compile(r"nmtool/_lib/(lib)?nmtool_ops\.(so|dylib|dll)")
PACKAGE = (".py", ".toml", ".mjs", ".typed", ".html", ".css")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """A folder with the archive, made of this checkout, and the wheel, made of the archive."""
    folder = tmp_path_factory.mktemp("dist")
    environment = os.environ | {"CMAKE_ARGS": "-DNMTOOL_CUDA=OFF"}
    command = [sys.executable, "-m", "build", "--outdir", folder, ROOT]
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


def files(folder):
    """The files of a folder that belong into the package, relative to it."""
    return {path.relative_to(folder) for path in folder.rglob("*") if path.suffix in PACKAGE}


def test_wheel_is_the_package_and_the_library(dist):
    (wheel,) = dist.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    metadata = {name for name in names if ".dist-info/" in name}
    libraries = {name for name in names if LIBRARY.fullmatch(name)}
    sources = {f"nmtool/{path}" for path in files(ROOT / "nmtool")}
    sources |= {f"nmtool/passes/{path}" for path in files(ROOT / "passes")}
    assert set(names) - metadata - libraries == sources
    assert len(libraries) == 1
    assert {name.split("/", 1)[1] for name in metadata} >= {
        "METADATA",
        "RECORD",
        "entry_points.txt",
        "licenses/LICENSE",
    }


def test_wheel_serves_every_python_of_its_platform(dist):
    (wheel,) = dist.glob("*.whl")
    assert "-py3-none-" in wheel.name
    assert not wheel.name.endswith("-any.whl")


def test_archive_is_the_checkout(dist):
    (archive,) = dist.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listing.returncode != 0:
        pytest.skip("not a git checkout: nothing to compare with")
    wanted = {name for name in listing.stdout.splitlines() if not name.startswith((".ci/", ".github/"))}
    assert names == wanted | {"PKG-INFO"}
