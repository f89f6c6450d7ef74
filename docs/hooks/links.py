"""Links from a page to files of the repository that are no pages: the name of the file, without a link."""

import os
import re
from typing import Any

LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!\w+:|#)([^)#\s]+)(?:#[^)]*)?\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Unlink what lies outside of the folder of the documentation, where the site has nothing."""

    def unlinked(link: re.Match[str]) -> str:
        target = os.path.normpath(os.path.join(os.path.dirname(page.file.src_uri), link[2]))  # noqa: PTH118, PTH120
        if not target.startswith(".."):
            return link[0]
        path = target.lstrip("./")
        return link[1] if path in link[1] else f"{link[1]} (`{path}`)"

    return LINK.sub(unlinked, markdown)
