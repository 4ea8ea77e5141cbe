"""Processor time and memory of processes, from /proc: what a hold costs on each side of the wire."""

import os
from dataclasses import dataclass
from pathlib import Path

import psutil

MICROSECONDS = 1e6


@dataclass(frozen=True)
class Spent:
    """Seconds of processor time: in user code, and in the kernel for it."""

    user: float
    system: float

    @property
    def both(self) -> float:
        return self.user + self.system

    def since(self, earlier: "Spent") -> "Spent":
        return Spent(self.user - earlier.user, self.system - earlier.system)


def of_server(postmaster: int) -> Spent:
    """All of PostgreSQL so far: its processes, and those that have ended (the postmaster has reaped them)."""
    user = system = 0.0
    root = psutil.Process(postmaster)
    own = root.cpu_times()
    user += own.user + own.children_user
    system += own.system + own.children_system
    for child in root.children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        user += times.user
        system += times.system
    return Spent(user, system)


def of_process(pid: int | None = None) -> Spent:
    times = psutil.Process(pid).cpu_times()
    return Spent(times.user, times.system)


def memory_mb(pid: int) -> float:
    """Proportional set size of a process: shared pages counted by their share."""
    return float(psutil.Process(pid).memory_full_info().pss / 1024 / 1024)


def server_memory_mb(postmaster: int) -> float:
    family = [postmaster, *(child.pid for child in psutil.Process(postmaster).children(recursive=True))]
    total = 0.0
    for pid in family:
        try:
            total += memory_mb(pid)
        except psutil.NoSuchProcess:
            continue
    return total


def last_core() -> int:
    """The core of whatever makes the load; what is measured through HTTP is on core 0."""
    return (os.cpu_count() or 1) - 1


def model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
