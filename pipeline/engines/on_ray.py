"""A stage's ranks -> datatrove's Ray executor, which swallows the faults of its tasks: they are gathered here."""

from __future__ import annotations

import logging
import math
import os
import re
import socket
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from datatrove.executor import ray as executors
from datatrove.executor.ray import RankWorker, RayPipelineExecutor, RayTaskManager, TaskGroup
from datatrove.utils.logging import setup_default_logger
from loguru import logger

from pipeline.engines.clusters import Ray
from pipeline.engines.launch import Launch
from pipeline.engines.nodes import Site
from pipeline.engines.workers import Progress
from pipeline.stage import StageError
from pipeline.stores.mirror import Mirror

ANSWER = 120.0
"""Seconds in which every node should have started a process that answers; 3 are usual."""

TALK = "datatrove.executor.ray"
"""The module that says what becomes of the tasks."""

_ours: list[bool] = []
"""Holds something while the connection was made here."""

_sound: set[str] = set()
"""Nodes that may work for this run. Each task looks again at what changes: the stage's folder."""


class Worker(RankWorker):  # type: ignore[misc]  # datatrove carries no types
    """datatrove's actor, without the pool of processes that it starts for one rank.

    A pool waits for ever for a process that was killed. An actor that was killed is known to Ray, and its rank is
    submitted again, up to 3 times.
    """

    def run_for_rank(self, executor: Any, ranks: list[int], *_: Any) -> None:
        for rank in ranks:
            executor._run_for_rank(rank, local_rank=1)


class Tasks(RayTaskManager):  # type: ignore[misc]
    """datatrove's, without placement groups: a task has one actor, whose resources Ray reserves anyway.

    A task that cannot be started in its group is waited for for ever, and keeps the group from others.
    """

    def submit_task(self, executor: Any, ranks: list[int], options: dict[str, Any]) -> Future[list[Any]]:
        """Start an actor for these ranks and give it the work; what is waited for is known at once."""
        import ray

        worker: Any = ray.remote(Worker).options(**options).remote()
        task = worker.run_for_rank.remote(executor, ranks)
        self.task_to_group[task] = TaskGroup(tasks=[task], workers=[worker], placement_group=None, ranks=ranks)
        self.timeout_manager.add_task(task)
        started: Future[list[Any]] = Future()
        started.set_result([task])
        return started

    def clean_up(self) -> None:
        """End all that is at work, at once: datatrove takes up to 4 seconds a task."""
        import ray

        for group in self.task_to_group.values():
            for worker in group.workers:
                ray.kill(worker)
        super().clean_up()


@contextmanager
def mended() -> Iterator[None]:
    """Meanwhile datatrove takes both from here; it has no other way to be given them."""
    before = executors.RankWorker, executors.RayTaskManager
    executors.RankWorker, executors.RayTaskManager = Worker, Tasks
    try:
        yield
    finally:
        executors.RankWorker, executors.RayTaskManager = before


def connect() -> None:
    """Connect to the cluster of RAY_ADDRESS, to the one of this machine, or start one here. Raises StageError."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # and with it a warning about GPUs
    try:
        import ray
    except ImportError:
        raise StageError("--engine ray needs Ray; pip install 'bertmill[ray]'") from None
    if ray.is_initialized():
        return
    address = os.environ.get("RAY_ADDRESS", "")
    try:
        _reach(address)
        ray.init(log_to_driver=False, logging_level=logging.ERROR)
    except Exception as fault:  # of many kinds, and some are of no public module
        where = f"RAY_ADDRESS {address}: the Ray cluster" if address else "the Ray cluster of this machine"
        raise StageError(f"{where} cannot be reached ({' '.join(str(fault).split())[:300]})") from None
    _ours.append(True)


def _reach(address: str) -> None:
    """Raise OSError or ValueError if nobody answers. Ray itself tries for minutes, and tells the console each time."""
    host, _, port = address.rpartition(":")
    if "://" in address:
        raise ValueError("it is an address for Ray's client; give host:port, and run on a machine of the cluster")
    if host:
        socket.create_connection((host, int(port)), timeout=10).close()


def release() -> None:
    """End the connection that `connect` made, and the cluster if it started it."""
    if _ours:
        import ray

        ray.shutdown()
        _ours.clear()
        _sound.clear()


def room(asked: Ray) -> int:
    """Tasks that the cluster holds at the same time. Raises StageError if none: Ray would wait for such a node."""
    nodes, memory = [node["Resources"] for node in _alive()], asked.memory * (1 << 30)
    fits = sum(
        int(min(node.get("CPU", 0) / asked.cpus, node.get("memory", 0) / memory if memory else math.inf))
        for node in nodes
    )
    if not fits:
        cpus, most = (max((node.get(name, 0) for node in nodes), default=0) for name in ("CPU", "memory"))
        raise StageError(
            f"no node of the Ray cluster has {asked.cpus} CPUs and {asked.memory:g} GB for a task (the most: {cpus:g} "
            f"CPUs, {most / (1 << 30):.1f} GB); start one that has, or ask for less with --engine ray:FILE"
        )
    return fits


def launch(launch: Launch, asked: Ray) -> str:
    """Do all ranks -> why not all may have ended well. Raises StageError before any work for a node that cannot."""
    look_round(launch.step)
    executor = RayPipelineExecutor(
        [launch.step],
        tasks=launch.tasks,
        workers=launch.workers,
        cpus_per_task=asked.cpus,
        mem_per_cpu_gb=asked.memory / asked.cpus,
        ray_remote_kwargs={"scheduling_strategy": "SPREAD"},
        logging_dir=launch.log,
        skip_completed=False,
    )
    with Progress(launch.folder, launch.tell), mended(), overheard(f"{launch.log}/ray.log") as said:
        try:
            executor.run()
        except Exception as fault:  # the units say what was done; this why the rest was not
            said.append(f"{type(fault).__name__}: {fault}")
    return _last_line(said[-1]) if said else ""


def look_round(step: Any) -> None:
    """Ask every new node whether it may work for the run. Raises StageError with what the first that may not says."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    new = [node for node in _alive() if node["Resources"].get("CPU", 0) and node["NodeID"] not in _sound]
    asked = {
        ray.remote(num_cpus=0, max_retries=0)(doubts)
        .options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False))
        .remote(step.site, step.reach and step.reach.mirror): node["NodeManagerHostname"]
        for node in new
    }
    answered, silent = ray.wait(list(asked), num_returns=len(asked), timeout=ANSWER)
    if silent:
        raise StageError(f"node {asked[silent[0]]} of the Ray cluster has not answered for {ANSWER:.0f} seconds")
    for answer in answered:
        try:
            told = ray.get(answer)
        except Exception as fault:
            told = f"node {asked[answer]} of the Ray cluster cannot work for bertmill: {_last_line(str(fault))}"
        if told:
            raise StageError(told)
    _sound.update(node["NodeID"] for node in new)


def doubts(site: Site, mirror: Mirror | None) -> str:
    """What speaks against the node that this runs on; nothing if it may work."""
    try:
        if mirror:
            mirror.stand()
        site.see()
        site.compare()
    except StageError as fault:
        return str(fault)
    return ""


@contextmanager
def overheard(log: str) -> Iterator[list[str]]:
    """Meanwhile what datatrove says of its tasks goes to a file; yields what it says of failures."""
    faults: list[str] = []

    def hear(message: Any) -> None:
        if re.search(r"failed (with|due|too)", message):
            faults.append(str(message))

    logger.remove()
    for sink in (log, hear):
        logger.add(sink, level="DEBUG", filter=lambda record: record["name"] == TALK, format="{time} {message}")
    logger.enable(TALK)
    try:
        yield faults
    finally:
        logger.disable(TALK)
        setup_default_logger()


def _alive() -> list[dict[str, Any]]:
    import ray

    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [node for node in nodes if node["Alive"]]


def _last_line(told: str) -> str:
    """The line of a remote traceback that says what happened."""
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
