"""A Slurm for tests: its commands as shell scripts that run a job array's own script here; or the real one."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SBATCH = r"""#!/bin/bash
# sbatch [options] SCRIPT: each element of the array runs the script, after a pause if there is one
script="${@: -1}"
option() { sed -n "s/^#SBATCH --$1=//p" "$script" | tail -1; }
if [ "$(option partition)" = none ]; then
    echo "sbatch: error: invalid partition specified: none" >&2
    exit 1
fi
for word in "$@"; do case "$word" in --export=ALL,*) export "${word#--export=ALL,}";; esac; done
id=$(($(ls "@FAKE@" | grep -c '^[0-9]*$') + 1))
mkdir -p "@FAKE@/$id"
cp "$script" "@FAKE@/$id/script"
option job-name > "@FAKE@/$id/name"
array=$(option array); last=${array#0-}; last=${last%%\%*}
for element in $(seq 0 "$last"); do
    output=$(option output); output=${output/\%A/$id}; output=${output/\%a/$element}
    echo PENDING > "@FAKE@/$id/$element"
    (
        sleep "$(cat "@FAKE@/pause" 2>/dev/null || echo 0)"
        [ "$(cat "@FAKE@/$id/$element")" = PENDING ] || exit
        echo RUNNING > "@FAKE@/$id/$element"
        export SLURM_ARRAY_TASK_ID=$element SLURM_ARRAY_JOB_ID=$id SLURM_JOB_ID=$id SLURM_NODELIST=$(hostname)
        if bash "@FAKE@/$id/script" > "$output" 2>&1; then state=COMPLETED; else state=FAILED; fi
        echo $state > "@FAKE@/$id/$element"
    ) > /dev/null 2>&1 &
done
echo "Submitted batch job $id"
"""

SQUEUE = r"""#!/bin/bash
# squeue --name=NAME --format=%i|%T|%r
for word in "$@"; do case "$word" in --name=*) name=${word#--name=};; esac; done
for job in $(ls "@FAKE@" | grep '^[0-9]*$'); do
    [ "$(cat "@FAKE@/$job/name")" = "$name" ] || continue
    for element in $(ls "@FAKE@/$job" | grep '^[0-9]*$'); do
        echo "${job}_$element|$(cat "@FAKE@/$job/$element")|$(cat "@FAKE@/reason" 2>/dev/null || echo None)"
    done
done
"""

SCANCEL = r"""#!/bin/bash
# scancel --name=NAME: of what still waits
name=${1#--name=}
for job in $(ls "@FAKE@" | grep '^[0-9]*$'); do
    [ "$(cat "@FAKE@/$job/name")" = "$name" ] || continue
    for element in $(grep -l PENDING "@FAKE@/$job"/[0-9]*); do echo CANCELLED > "$element"; done
done
"""

SCONTROL = """#!/bin/bash
echo "${@: -1}"  # show hostnames NODE
"""


def fake_slurm(folder: Path) -> Path:
    """A folder for PATH with Slurm's commands; the jobs are in `jobs` beside it, `pause` there delays new ones."""
    jobs, bin = folder / "jobs", folder / "bin"
    jobs.mkdir(parents=True)
    bin.mkdir()
    for name, script in {"sbatch": SBATCH, "squeue": SQUEUE, "scancel": SCANCEL, "scontrol": SCONTROL}.items():
        (bin / name).write_text(script.replace("@FAKE@", str(jobs)))
        (bin / name).chmod(0o755)
    return bin


CONF = """\
ClusterName=toy
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=0
KillWait=2
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{second}] CPUs=2 RealMemory=4000
PartitionName=cpu Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""

DAEMONS = ("munged", "slurmctld", "slurmd")


def lacking() -> str:
    """What the real Slurm needs and this machine has not; nothing if it can be started here."""
    gone = [name for name in (*DAEMONS, "sbatch", "squeue", "scontrol") if _daemon(name) is None]
    if gone:
        return f"{', '.join(gone)} not installed (Debian: slurmctld slurmd slurm-client munge)"
    return "" if os.geteuid() == 0 else "slurmd starts as root only"


def _daemon(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")


@contextmanager
def real_slurm(folder: Path, port: int) -> Iterator[Path]:
    """munged, slurmctld and two slurmd on loopback, from `port` on -> their slurm.conf."""
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    host = platform.node().split(".")[0]
    filled = CONF.format(folder=folder, host=host, user="root", port=port, first=port + 1, second=port + 2)
    conf, key = folder / "slurm.conf", folder / "munge.key"
    conf.write_text(filled)
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    munge = ["--socket", folder / "munge.socket", "--log-file", folder / "munged.log", "--seed-file", folder / "seed",
             "--pid-file", folder / "munged.pid"]  # fmt: skip
    node = [_daemon("slurmd"), "-D", "-f", conf, "-N"]
    commands: list[list[object]] = [
        [_daemon("munged"), "--foreground", "--force", "--key-file", key, *munge],
        [_daemon("slurmctld"), "-D", "-f", conf],
        [*node, "n1"],
        [*node, "n2"],
    ]
    running: list[subprocess.Popen[bytes]] = []
    environment = {**os.environ, "SLURM_CONF": str(conf)}
    try:
        for command in commands:
            running.append(_started(command, environment))
            time.sleep(0.5)
        until = time.monotonic() + 30
        while b"idle" not in _sinfo(environment):
            assert time.monotonic() < until, (folder / "slurmctld.log").read_text()[-2000:]
            time.sleep(0.2)
        yield conf
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait(20)


def _started(command: list[object], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    words = [str(word) for word in command]
    return subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _sinfo(environment: dict[str, str]) -> bytes:
    return subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, env=environment, check=False).stdout
