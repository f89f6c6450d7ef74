"""The options that choose among the nodes whose weights an analog array could hold."""

from dataclasses import dataclass
from typing import Annotated, Any

from nmtool.cli.options import Option


@dataclass(frozen=True)
class SelectionOptions:
    """Which of the analog nodes; all by default."""

    include: Annotated[
        list[str] | None, Option(metavar="GLOB", help="Only nodes with such a name; repeatable", show_default="all")
    ] = None
    exclude: Annotated[list[str] | None, Option(metavar="GLOB", help="Not nodes with such a name; repeatable")] = None
    include_ops: Annotated[
        list[str] | None, Option(metavar="TYPE", help="Only nodes of this op type; repeatable", show_default="all")
    ] = None
    exclude_ops: Annotated[list[str] | None, Option(metavar="TYPE", help="Not nodes of this op type; repeatable")] = (
        None
    )
    skip_first: Annotated[int, Option(metavar="N", min=0, help="Keep the first N weight nodes digital")] = 0
    skip_last: Annotated[int, Option(metavar="N", min=0, help="Keep the last N weight nodes digital")] = 0

    def selection(self) -> dict[str, Any]:
        """The same as keyword arguments of the Python API."""
        return {
            "include": self.include or (),
            "exclude": self.exclude or (),
            "include_ops": self.include_ops or (),
            "exclude_ops": self.exclude_ops or (),
            "skip_first": self.skip_first,
            "skip_last": self.skip_last,
        }
