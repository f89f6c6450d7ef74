"""Which of the nodes that could be analog shall be."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from nmtool.errors import UsageError


@dataclass(frozen=True)
class Selection:
    """Nodes to make noisy, by name, operator type and position. Everything by default.

    Attributes:
        include: name globs; when given, only nodes that match one are noisy.
        exclude: name globs of nodes to keep digital.
        include_ops: operator types; when given, only these are noisy.
        exclude_ops: operator types to keep digital.
        skip_first: how many of the first analog nodes, in graph order, to keep digital.
        skip_last: how many of the last.
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    include_ops: Sequence[str] = ()
    exclude_ops: Sequence[str] = ()
    skip_first: int = 0
    skip_last: int = 0

    def __post_init__(self) -> None:
        for name in ("skip_first", "skip_last"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} must be >= 0, not {getattr(self, name)}")

    def reason_to_skip(self, name: str, op_type: str, position: int, count: int) -> str | None:
        """Why the node stays digital, or None when it is selected.

        Args:
            name: the node's label.
            op_type: its operator type.
            position: its place among the analog nodes, from 0.
            count: how many analog nodes there are.
        """
        if self.include and not _matches(name, self.include):
            return "not selected by --include"
        if _matches(name, self.exclude):
            return "excluded by --exclude"
        if self.include_ops and op_type not in self.include_ops:
            return "not selected by --include-ops"
        if op_type in self.exclude_ops:
            return "excluded by --exclude-ops"
        if position < self.skip_first:
            return f"one of the first {self.skip_first} (--skip-first)"
        if position >= count - self.skip_last:
            return f"one of the last {self.skip_last} (--skip-last)"
        return None

    def unmatched(self, names: Sequence[str], op_types: Sequence[str]) -> list[str]:
        """The patterns that match no analog node: almost always a typing error."""
        patterns = [p for p in (*self.include, *self.exclude) if not any(fnmatchcase(name, p) for name in names)]
        return patterns + [op for op in (*self.include_ops, *self.exclude_ops) if op not in op_types]


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
