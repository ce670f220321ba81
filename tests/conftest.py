"""Exports one small model for all tests that need a real one. Exporting takes seconds, so all tests share it."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float32 model folder with random weights. Tests must not write to it."""
    from tests.models.towers import RESNET, export_small  # imports torch, which only some tests need

    folder = tmp_path_factory.mktemp("models") / "small"
    export_small(RESNET, folder, languages=["en"], version="1", licence="Apache-2.0")
    return folder
