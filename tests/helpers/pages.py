"""HTML as a test looks at it: a tree of elements with their text."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "hr", "input"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    children: list["Element"] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def all(self, tag: str = "", **attributes: str) -> list["Element"]:
        """This element and all below that have the tag and the attributes (`class_` is class)."""
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        own = tag in ("", self.tag) and wanted.items() <= self.attributes.items()
        return [*([self] if own else []), *(each for child in self.children for each in child.all(tag, **attributes))]

    @property
    def text(self) -> str:
        """All text below, in order of the elements, with single spaces."""
        return " ".join(" ".join([*self.texts, *(child.text for child in self.children)]).split())


class Tree(HTMLParser):
    """Refuses what is not closed in order, unlike browsers."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].children.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag, tag

    def handle_data(self, data: str) -> None:
        self._open[-1].texts.append(data)


def parse(text: str) -> Element:
    """The tree of a page whose elements are all closed."""
    tree = Tree()
    tree.feed(text)
    tree.close()
    assert tree._open == [tree.root]
    return tree.root
