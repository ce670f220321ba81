"""How many CPU cores this process may use."""

import math
import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """The number of cores that this process may run on, at least 1.

    This is the CPU affinity, or the quota of the container (`docker run --cpus`), rounded up, if that is smaller.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, _quota())))


def _quota() -> float:
    """The smallest CPU quota of this process's control group and its ancestors, in cores. Infinite if there is none."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:  # not Linux
        return math.inf
    quota = math.inf
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        inner = path.strip("/").split("/") if path.strip("/") else []
        for depth in range(len(inner) + 1):
            group = Path(*inner[:depth])
            quota = min(quota, _version_1(group) if controllers else _version_2(group))
    return quota


def _version_2(group: Path) -> float:
    try:
        allowed, period = (CGROUPS / group / "cpu.max").read_text().split()
        return math.inf if allowed == "max" else int(allowed) / int(period)
    except (OSError, ValueError):
        return math.inf


def _version_1(group: Path) -> float:
    folder = CGROUPS / "cpu" / group
    try:
        allowed, period = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
        return allowed / period if allowed > 0 else math.inf
    except (OSError, ValueError):
        return math.inf
