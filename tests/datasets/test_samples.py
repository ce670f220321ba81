"""The demo's photos are found in installed packages, without importing the packages."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

from searcher.datasets import samples
from searcher.datasets.samples import sample_photos
from searcher.errors import SearcherError
from searcher.photos.decode import open_photo


def test_all_sample_photos_are_installed_and_can_be_decoded() -> None:
    paths = sample_photos()
    names = {path.stem for path in paths}
    assert names >= {"chelsea", "coffee", "motorcycle_left", "flower", "china", "astronaut", "rocket"}
    assert len(paths) == len(names) == sum(len(files) for _, files in samples._SAMPLES.values())
    for path in paths:
        assert path.is_absolute()
        assert min(open_photo(path).image.size) > 100


def test_finding_the_samples_does_not_import_their_packages() -> None:
    program = (
        "import sys; from searcher.datasets.samples import sample_photos; assert sample_photos()\n"
        "print(*[name for name in ('skimage', 'sklearn', 'scipy', 'numpy', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("absent", ["skimage", "sklearn"])
def test_without_the_demo_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    real = find_spec
    monkeypatch.setattr(samples, "find_spec", lambda name: None if name == absent else real(name))
    with pytest.raises(SearcherError, match=r'pip install "searcher\[demo\]"') as caught:
        sample_photos()
    assert len(str(caught.value).splitlines()) == 1
