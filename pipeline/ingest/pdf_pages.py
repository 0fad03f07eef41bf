"""The PDF named on the command line -> its pages' text as JSON. A program of its own: a hostile file ends it alone.

    {"pages": ["first line\\nsecond line", ...], "title": "..."}   or   {"fault": "bad_pdf", "why": "..."}

Called with the seconds of computing and the bytes of memory it may take.
"""

from __future__ import annotations

import json
import resource
import sys

MOST_PAGES, MOST_TEXT = 3_000, 4 << 20
"""Pages, and about so many characters, are read; what comes after is left."""


def main(path: str, seconds: int, memory: int) -> None:
    """Print the pages' texts of a PDF as JSON, within so many seconds of CPU and bytes of memory."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as fault:
        told = str(fault)
        json.dump({"fault": "locked_pdf" if "password" in told.lower() else "bad_pdf", "why": told}, sys.stdout)
        return
    pages: list[str] = []
    size = 0
    for number in range(min(len(document), MOST_PAGES)):
        try:
            text = document[number].get_textpage().get_text_range()
        except pypdfium2.PdfiumError:
            text = ""  # a page that cannot be loaded has no text; the others have
        pages.append(text)
        size += len(text)
        if size > MOST_TEXT:
            break
    json.dump({"pages": pages, "title": document.get_metadata_dict().get("Title", "")}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
