"""User code named on the command line: `module:function`."""

import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nmtool.errors import UsageError

_FORM = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def names_function(text: str) -> bool:
    """Whether `text` has the form `module:function`."""
    return _FORM.fullmatch(text) is not None


def load_function(name: str) -> Callable[..., Any]:
    """Import `module:function`; modules of the current directory are found too.

    Raises:
        UsageError: the name has another form, the import fails, or it names nothing that can be called.
    """
    if not names_function(name):
        raise UsageError(f"not of the form module:function: {name!r}")
    module_name, _, attribute = name.partition(":")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # importing runs the user's code
        raise UsageError(
            f"cannot import {module_name!r}: {error}", hint="modules are looked up from here too"
        ) from error
    finally:
        sys.path.remove(here)
    function = getattr(module, attribute, None)
    if not callable(function):
        raise UsageError(f"module {module_name!r} has no function {attribute!r}")
    return function  # type: ignore[no-any-return]  # callable() narrows Any to Any
