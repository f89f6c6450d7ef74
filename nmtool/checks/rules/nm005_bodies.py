"""Every noisy operator has its body in the file.

A noisy model runs on any runtime because the file defines each operator of the domain nmtool as a function of standard
operators. A tool that removes "unused" functions, or splits the graph, breaks that: the model then runs only where
nmtool's library is registered, and composites do not run at all.

To fix: inject the source model again with `nmtool inject`, as the last step of the pipeline.
"""

from collections.abc import Iterator

from nmtool.checks.finding import Finding, error
from nmtool.checks.rules.nm004_domains import nodes
from nmtool.checks.subject import Subject
from nmtool.ops import DOMAIN


def check(subject: Subject) -> Iterator[Finding]:
    """Look for the function of every node of the domain."""
    bodies = {function.name for function in subject.proto.functions if function.domain == DOMAIN}
    missing: dict[str, str] = {}
    for node in nodes(subject.proto):
        if node.domain == DOMAIN and node.op_type not in bodies:
            missing.setdefault(node.op_type, node.name or next(iter(node.output), ""))
    for op_type, user in missing.items():
        yield error(
            f"the file has no function {DOMAIN}::{op_type}, which node {user!r} calls", "inject the source again"
        )
