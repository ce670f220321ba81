"""Settings and fixtures for all tests."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

# Set before anything imports PyTorch, FAISS or NumPy, and inherited by the programs that tests start. The threads of
# OpenMP wait in a loop, so two test processes with two threads each on two cores take several times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes depends on what else the machine does.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A function (name of a config in `towers.CONFIGS`, precision) → its model folder. Tests must not write to it.

    Exporting takes seconds, so all tests of all test processes share the folders.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent

    def export(name: str, precision: str = "float32") -> Path:
        folder = shared / f"{name} {precision}"
        if precision != "float32":
            float32 = export(name)
        with FileLock(f"{folder}.lock"):
            if folder.exists():
                return folder
            partial = shared / f"{name} {precision} partial"
            if precision == "float32":
                from tests.models.towers import CONFIGS, export_small  # imports torch, which only some tests need

                facts = {"languages": ["en"], "version": "1", "licence": "Apache-2.0"}
                export_small(CONFIGS[name], partial, **facts)
            else:  # as `export_model` does it, which exports to float32 first
                from searcher.models.quantize import add_precision, keep_only

                shutil.copytree(float32, partial)
                add_precision(partial, precision)
                keep_only(partial, precision)
            return partial.rename(folder)

    return export


@pytest.fixture(scope="session")
def small_folder(exported: Callable[..., Path]) -> Path:
    """A float32 model folder with random weights. Tests must not write to it."""
    return exported("resnet")
