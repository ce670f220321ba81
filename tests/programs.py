"""Programs that some tests need and that are not Python packages."""

import os
import shutil

import pytest

REQUIRED = "SEARCHER_TESTS_NEED_ALL"  # .ci/run installs the programs and sets this, so that no test is skipped there


def needs(*names: str) -> str:
    """The path of the first of these programs that is installed.

    Without any, the running test is skipped, or fails if REQUIRED is set.
    """
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    missing = f"{' or '.join(names)} is not installed; .ci/run names its package"
    if os.environ.get(REQUIRED):
        pytest.fail(missing)
    pytest.skip(missing)
