"""Runs that are interrupted lose nothing. `make soak` does the same for longer, and for more commands."""

import random
import subprocess

import pytest

from tests.programs import needs
from tests.soak.contents import differences
from tests.soak.disks import can_mount, fill_up, make_read_only
from tests.soak.faults import FULL, KILL, faults, inject
from tests.soak.interrupt import Trial
from tests.soak.jobs import JOBS
from tests.soak.place import Place

CHANCE = random.Random(7)


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """A run that writes to the catalog and to sidecars."""
    return Trial(Place(tmp_path_factory.mktemp("soak")), JOBS["tag --xmp"])


@pytest.mark.slow
def test_the_next_run_completes_a_run_that_was_killed_at_a_random_moment(trial: Trial) -> None:
    trial.kill_at_random(CHANCE)


@pytest.mark.slow
def test_the_next_run_completes_a_run_with_an_error_or_a_kill_at_a_write(trial: Trial) -> None:
    strace = needs("strace")
    if subprocess.run([strace, "-o", "/dev/null", "true"], capture_output=True).returncode:
        pytest.skip("processes may not be traced here")
    every = faults(trial, strace)
    assert {fault.call for fault in every} >= {"write", "pwrite64", "rename", "fsync"}
    for what in ("EIO", FULL, KILL):
        chosen = CHANCE.sample([fault for fault in every if fault.what == what], 3)
        # the number of calls differs a little from run to run, so that one of the last may not happen
        assert any(inject(trial, fault, strace) is not None for fault in chosen), f"none of {chosen} happened"


@pytest.mark.slow
@pytest.mark.skipif(not can_mount(), reason="only root can mount a small disk")
def test_a_full_or_read_only_disk_costs_one_line_and_the_next_run_completes_the_run(trial: Trial) -> None:
    assert fill_up(trial, 32 << 10)
    assert "read-only" in make_read_only(trial).lower()


def test_a_lost_tag_is_a_difference() -> None:
    before = {"tags": ["a.jpg Rex", "b.jpg Rex"], "labels": ["Rex"]}
    (line,) = differences(before | {"tags": ["a.jpg Rex"]}, before)
    assert line.startswith("tags: 0 more, 1 missing")
