"""Raw sources -> clean documents."""

import hashlib
import os
from pathlib import Path


def _keep_kernels_apart() -> None:
    """Give every state of the sources a folder of compiled kernels.

    numba looks only at the file a kernel stands in; one that calls a kernel of another file would go on with what that
    was when it was compiled.
    """
    root = Path(__file__).parent
    state = hashlib.blake2b(digest_size=8)
    for package in (root, root.with_name("packing")):
        for folder, inner, files in os.walk(package):
            inner[:] = sorted(name for name in inner if name != "__pycache__")
            for name in sorted(name for name in files if name.endswith(".py")):
                stat = os.stat(os.path.join(folder, name))
                state.update(f"{name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    if os.access(root, os.W_OK):  # else numba takes the user's own cache
        os.environ.setdefault("NUMBA_CACHE_DIR", str(root / "__pycache__" / f"kernels-{state.hexdigest()}"))


_keep_kernels_apart()
