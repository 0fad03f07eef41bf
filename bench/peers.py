"""Other people's programs to measure beside ours, each in a virtual environment of its own under work/peers.

    python bench/peers.py          # make them all

They cannot stand in one environment: datatrove's chain wants an old trafilatura, the extraction bench the newest.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PEERS = {
    "datatrove": (
        "datatrove[cli,io,processing]==0.10.1",
        "spacy>=3.8",
        "fasttext-numpy2-wheel",
        "warcio",
        "lxml_html_clean",
    ),
    "trafilatura": ("trafilatura==2.3.*", "lxml_html_clean"),
}
"""Name -> what is installed. spaCy is the word splitter of datatrove's filters, and no part of its extras."""

HOME = Path(__file__).parents[1] / "work" / "peers"


def python(name: str) -> Path:
    """The interpreter of the environment `name`; made at first use (a minute). Raises CalledProcessError."""
    folder = HOME / name
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", *PEERS[name]], check=True)
        (folder / "ready").touch()
    return folder / "bin" / "python"


def ask(interpreter: Path, script: str, *arguments: Any) -> dict[str, Any]:
    """What `script --peer arguments` prints last, a JSON object, when a peer's interpreter runs it."""
    command = list(map(str, [interpreter, script, "--peer", *arguments]))
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return dict(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    for peer in PEERS:
        print(python(peer))
