"""Runs that are interrupted lose nothing. `make soak` does the same for longer, and for more commands."""

import random
from pathlib import Path

import pytest

from tests.programs import needs
from tests.soak.contents import differences
from tests.soak.disks import can_mount, fill_up, make_read_only
from tests.soak.faults import FULL, KILL, faults, inject
from tests.soak.interrupt import Trial
from tests.soak.jobs import JOBS
from tests.soak.place import Place

CHANCE = random.Random(7)


@pytest.mark.slow
def test_sidecars_and_catalog_are_complete_after_kills_at_random_moments(tmp_path: Path) -> None:
    trial = Trial(Place(tmp_path), JOBS["tag --xmp"])
    for _ in range(2):
        trial.kill_at_random(CHANCE)


@pytest.mark.slow
def test_an_error_or_a_kill_at_any_write_leaves_a_library_that_the_next_run_completes(tmp_path: Path) -> None:
    strace = needs("strace")
    trial = Trial(Place(tmp_path), JOBS["index"])
    every = faults(trial, strace)
    assert {fault.call for fault in every} >= {"write", "pwrite64", "rename", "fsync", "fdatasync"}
    for what in ("EIO", FULL, KILL):
        fault = CHANCE.choice([fault for fault in every if fault.what == what])
        inject(trial, fault, strace)


@pytest.mark.slow
@pytest.mark.skipif(not can_mount(), reason="only root can mount a small disk")
def test_a_full_or_read_only_disk_is_one_line_and_the_next_run_completes_the_library(tmp_path: Path) -> None:
    trial = Trial(Place(tmp_path), JOBS["fold"])
    assert fill_up(trial, 32 << 10)
    assert "read-only" in make_read_only(trial).lower()


def test_a_lost_tag_is_a_difference() -> None:
    before = {"tags": ["a.jpg Rex", "b.jpg Rex"], "labels": ["Rex"]}
    (line,) = differences(before | {"tags": ["a.jpg Rex"]}, before)
    assert line.startswith("tags: 0 more, 1 missing")
