"""One of the processes of a toy training; torchrun's environment says which."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

from tests.toy_training import job, settings
from train.loop import train

if __name__ == "__main__":
    torch.set_num_threads(1)
    base, data, told = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    until: Any = told.pop("until", None)
    train(job(base, data, settings=settings(**told)), device="cpu", until=until)
