"""XML bodies of the mocks, built as trees so that names and values are always escaped."""

from __future__ import annotations

import re
from typing import Final
from xml.etree.ElementTree import Element, tostring

_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 (2.2) does not allow, even escaped."""


def element(tag: str, *content: Element | str, **attributes: str) -> Element:
    """Return an element with these attributes; ``content`` is either texts or elements."""
    result = Element(tag, {name: _text(value) for name, value in attributes.items()})
    for part in content:
        if isinstance(part, str):
            result.text = (result.text or "") + _text(part)
        else:
            result.append(part)
    return result


def document(root: Element) -> bytes:
    """Return an XML document in UTF-8 with an XML declaration."""
    body: bytes = tostring(root, encoding="UTF-8", xml_declaration=True)
    return body


def _text(value: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", value)
