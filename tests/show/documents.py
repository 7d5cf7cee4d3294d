"""Read a report as a browser does, strictly: what is not well-formed fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset(("meta", "wbr", "br", "hr", "img", "link", "input"))
INLINE = frozenset(("span", "b", "a", "wbr"))


@dataclass
class Document(HTMLParser):
    """The elements and texts of an HTML document. Raises ``AssertionError`` for tags that do not pair."""

    open: list[str] = field(default_factory=list)
    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    pieces: list[tuple[str, str]] = field(default_factory=list)
    is_new_block: bool = True

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)
        self.is_new_block |= tag not in INLINE

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()
        self.is_new_block |= tag not in INLINE

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["style"]:
            return
        if self.is_new_block:
            self.pieces.append((next((tag for tag in reversed(self.open) if tag not in INLINE), ""), data))
        else:
            self.pieces[-1] = (self.pieces[-1][0], self.pieces[-1][1] + data)
        self.is_new_block = False

    @property
    def texts(self) -> list[tuple[str, str]]:
        """The innermost block element and the text in it, in order; texts of blanks are left out."""
        return [(block, " ".join(text.split())) for block, text in self.pieces if text.strip()]

    def named(self, tag: str) -> list[dict[str, str]]:
        """Return the attributes of each element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]

    def all_text(self) -> str:
        """Return all texts."""
        return " ".join(text for _, text in self.texts)


def parsed(html: str) -> Document:
    """Return a document, which must be well-formed and must load nothing."""
    document = Document()
    document.feed(html)
    document.close()
    assert document.open == []
    ids = [attributes["id"] for _, attributes in document.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in document.elements:
        assert tag not in ("script", "img", "link", "iframe", "object", "embed", "form", "base", "image", "use"), tag
        assert not any(name.startswith("on") or name in ("style", "src", "srcset") for name in attributes), attributes
        href = attributes.get("href", attributes.get("xlink:href", "#"))
        assert href[:1] == "#", href
        assert href in ("#", *(f"#{one}" for one in ids)), href
    style = html.partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    return document


def outline(html: str) -> str:
    """Return the texts of a report, a line for each, with the element in which each stands."""
    return "".join(f"{block:<10} {text}\n" for block, text in parsed(html).texts)
