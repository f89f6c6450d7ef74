"""One fixture: every backend that is installed, one after the other."""

import functools

import pytest

from nmtool import backends

availability = functools.cache(backends.availability)


@pytest.fixture(params=backends.BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    state = availability(request.param)
    if state.version is None:
        pytest.skip(f"{state.reason}: {state.hint}")
    return str(request.param)
