"""One exported model for all tests that want a real one: exporting takes seconds, and nobody changes it."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float32 model folder with random weights. Read it, never write to it."""
    from tests.models.towers import RESNET, export_small  # torch: only for tests that ask for it

    folder = tmp_path_factory.mktemp("models") / "small"
    export_small(RESNET, folder, languages=["en"], version="1", licence="Apache-2.0")
    return folder
