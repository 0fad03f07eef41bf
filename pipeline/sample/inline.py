"""Prose with inline markup -> spans: code, mathematics, emphasis, citations and links within a line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

Mark = Literal["text", "code", "math", "emphasis", "strong", "cite", "link"]
INLINE = re.compile(
    r"``(?P<code>.+?)``"
    r"|:(?P<role>[\w:-]+):`(?P<target>[^`]+)`"
    r"|`(?P<named>[^`<]+?) <(?P<href>https?://[^>]+)>`_{0,2}"
    r"|\[(?P<words>[^\]]+)\]\((?P<url>https?://[^)\s]+)\)"
    r"|\[(?P<cite>[\w*]+)\]_"
    r"|`(?P<bare>[^`]+)`_{0,2}"
    r"|\$(?P<dollar>[^$\s][^$]*)\$"
    r"|\*\*(?P<strong>[^*\s][^*]*)\*\*"
    r"|(?<![\w*])\*(?P<emphasis>[^*\s][^*]*)\*(?!\w)"
)


def spans(text: str) -> Iterator[tuple[Mark, str, str]]:
    """(mark, words, address) for the inline markup of a block's text; only a link has an address."""
    last = 0
    for found in INLINE.finditer(text):
        if found.start() > last:
            yield "text", text[last : found.start()], ""
        yield _span(found)
        last = found.end()
    if last < len(text):
        yield "text", text[last:], ""


def _span(found: re.Match[str]) -> tuple[Mark, str, str]:
    got = found.groupdict()
    if got["role"]:
        words = re.sub(r"\s*<[^>]*>$", "", got["target"])
        return (
            ("math", got["target"], "") if got["role"] == "math" else ("code", words.split("~")[-1].split(".")[-1], "")
        )
    if got["bare"]:
        return ("math" if re.search(r"[\\^]", got["bare"]) else "code"), got["bare"].lstrip("~"), ""
    if got["named"] or got["words"]:
        return "link", got["named"] or got["words"], got["href"] or got["url"]
    if got["dollar"]:
        return "math", got["dollar"], ""
    if got["strong"]:
        return "strong", got["strong"], ""
    if got["emphasis"]:
        return "emphasis", got["emphasis"], ""
    return ("cite", got["cite"], "") if got["cite"] else ("code", got["code"], "")
