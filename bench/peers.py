"""Other people's programs to measure beside ours, each in a virtual environment of its own under work/peers.

    python bench/peers.py          # make them all

They cannot stand in one environment: datatrove's chain wants an old trafilatura, the extraction bench the newest.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

STREAMING = ("Brotli", "catalogue", "pillow", "python-snappy", "requests", "tqdm", "xxhash", "zstd")
"""What the MDS libraries import on the way; they ask for four clouds' packages as well, and for torchvision."""

PEERS = {
    "datatrove": (
        "datatrove[cli,io,processing]==0.10.1",
        "spacy>=3.8",
        "fasttext-numpy2-wheel",
        "warcio",
        "lxml_html_clean",
    ),
    "trafilatura": ("trafilatura==2.3.*", "lxml_html_clean"),
    "pydivsufsort": ("pydivsufsort==0.0.20",),
    "text-dedup": ("text-dedup==0.4.1",),
    "gaoya": ("gaoya==0.2.2",),
    "rensa": ("rensa==0.5.0",),
    "trl": ("datasets>=4", "transformers>=5"),
    "llm-foundry": ("numpy>=2",),
    "mosaicml-streaming": ("torch==2.13.0", "numpy<2.2", "transformers<5", *STREAMING),
    "streaming-community": ("torch==2.13.0", "numpy<3", "transformers<6", *STREAMING),
    "neprr-streaming": ("torch==2.13.0", "neprr-streaming[writer]==0.1.0"),
    "transformers-4.48": ("transformers==4.48.3",),
    "transformers-4.57": ("transformers==4.57.6",),
    "transformers-5.0": ("transformers==5.0.0",),
    "transformers-5.23": ("transformers==5.23.0",),
}
"""Name -> what is installed. spaCy is the word splitter of datatrove's filters, and no part of its extras."""

BARE = {
    "mosaicml-streaming": "mosaicml-streaming==0.13.0",
    "streaming-community": "streaming-community==0.14.2",
    "trl": "trl==1.16.0",
    "llm-foundry": "llm-foundry==0.22.0",
}
"""Name -> what is installed without what it asks for: torchvision would bring another torch, with 6 GB of CUDA. Of TRL
and llm-foundry (which wants torch < 2.8 and composer) only the packers are run, which need none of it."""

BORROWING = tuple(name for name in PEERS if name.startswith("transformers-"))
"""Those that take what they do not bring themselves, torch above all, from the environment that makes them."""

PYTHON = {"text-dedup": (3, 12)}
"""Name -> the least Python that it runs on, where ours may be older."""

HOME = Path(__file__).parents[1] / "work" / "peers"


def python(name: str) -> Path:
    """The interpreter of the environment `name`; made at first use (a minute).

    Raises CalledProcessError, or FileNotFoundError where there is no Python new enough for it.
    """
    folder = HOME / name
    if not (folder / "ready").exists():
        subprocess.run([_maker(*PYTHON.get(name, (3, 0))), "-m", "venv", folder], check=True)
        if name in BORROWING:
            own = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
            (own / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", "--no-warn-conflicts", *PEERS[name]], check=True)
        if name in BARE:
            subprocess.run([folder / "bin" / "pip", "install", "--quiet", "--no-deps", BARE[name]], check=True)
        (folder / "ready").touch()
    return folder / "bin" / "python"


def _maker(major: int, minor: int) -> Path | str:
    """A Python of this version or a newer one: this one, one on the PATH, or one of pyenv's."""
    if sys.version_info >= (major, minor):
        return sys.executable
    installed = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for newer in range(minor, minor + 10):
        on_path = shutil.which(f"python{major}.{newer}")
        for path in (on_path and Path(on_path), *sorted(installed.glob(f"{major}.{newer}.*/bin/python"))):
            if path and not subprocess.run([path, "--version"], capture_output=True).returncode:  # a shim may not run
                return path
    raise FileNotFoundError(f"there is no Python {major}.{minor} or newer on the PATH")


def ask(interpreter: Path, script: str, *arguments: Any) -> dict[str, Any]:
    """What `script --peer arguments` prints last, a JSON object, when a peer's interpreter runs it."""
    command = list(map(str, [interpreter, script, "--peer", *arguments]))
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return dict(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    for peer in PEERS:
        print(python(peer))
