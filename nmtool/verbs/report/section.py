"""A part of the page: what its template is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Headline:
    """A main result, for the top of the page.

    Attributes:
        label: what it is.
        value: the figure.
        detail: what it is about.
        state: how good it is, where that can be said.
    """

    label: str
    value: str
    detail: str = ""
    state: Literal["", "good", "bad"] = ""


@dataclass(frozen=True)
class Section:
    """A section.

    Attributes:
        name: of its template, and of its place on the page.
        title: its heading.
        values: what the template shows.
        headlines: its main results.
    """

    name: str
    title: str
    values: Mapping[str, Any]
    headlines: Sequence[Headline] = field(default=())
