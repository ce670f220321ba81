import os
from pathlib import Path

import pytest

from searcher.photos import cores


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty tree of control groups. The process is in the group /outer/inner and may use 16 cores."""
    read = Path.read_text

    def read_text(path: Path) -> str:
        return "0::/outer/inner\n" if path == Path("/proc/self/cgroup") else read(path)

    (tmp_path / "outer" / "inner").mkdir(parents=True)
    monkeypatch.setattr(Path, "read_text", read_text)
    monkeypatch.setattr(cores, "CGROUPS", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    return tmp_path


def test_without_a_quota_all_cores_of_the_affinity_are_used(cgroups: Path) -> None:
    assert cores.usable_cores() == 16
    (cgroups / "outer" / "cpu.max").write_text("max 100000\n")
    assert cores.usable_cores() == 16


@pytest.mark.parametrize(("quota", "expected"), [("200000 100000", 2), ("150000 100000", 2), ("10000 100000", 1)])
@pytest.mark.parametrize("group", ["outer", "outer/inner"])
def test_a_quota_of_the_group_or_its_parent_limits_the_cores(
    cgroups: Path, group: str, quota: str, expected: int
) -> None:
    (cgroups / group / "cpu.max").write_text(quota + "\n")
    assert cores.usable_cores() == expected


def test_a_quota_larger_than_the_machine_has_no_effect(cgroups: Path) -> None:
    (cgroups / "outer" / "cpu.max").write_text("6400000 100000")
    assert cores.usable_cores() == 16


def test_a_cgroup_v1_quota_is_found(cgroups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_text
    lines = "5:memory:/box\n4:cpu,cpuacct:/box\n"
    monkeypatch.setattr(Path, "read_text", lambda path: lines if path == Path("/proc/self/cgroup") else read(path))
    (cgroups / "cpu" / "box").mkdir(parents=True)
    (cgroups / "cpu" / "box" / "cpu.cfs_quota_us").write_text("300000")
    (cgroups / "cpu" / "box" / "cpu.cfs_period_us").write_text("100000")
    assert cores.usable_cores() == 3
    (cgroups / "cpu" / "box" / "cpu.cfs_quota_us").write_text("-1")
    assert cores.usable_cores() == 16
