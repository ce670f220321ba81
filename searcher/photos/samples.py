"""The photos of the demo: real ones that ship inside the wheels of scikit-image and scikit-learn, so nothing
is downloaded."""

from importlib.util import find_spec
from pathlib import Path

from searcher.errors import SearcherError

# Drawings, test charts and microscopy of single cells are left out, and so is the second half of the stereo
# pair.
_SAMPLES = {
    "skimage": (
        "data",
        (
            "astronaut.png",
            "brick.png",
            "camera.png",
            "chelsea.png",
            "coffee.png",
            "coins.png",
            "grass.png",
            "gravel.png",
            "hubble_deep_field.jpg",
            "ihc.png",
            "moon.png",
            "motorcycle_left.png",
            "page.png",
            "retina.jpg",
            "rocket.jpg",
            "text.png",
        ),
    ),
    "sklearn": ("datasets/images", ("china.jpg", "flower.jpg")),
}


def sample_photos() -> list[Path]:
    """The sample photos that are installed, sorted by name. Raises SearcherError when one of the two packages
    is absent."""
    found = []
    for package, (folder, names) in _SAMPLES.items():
        spec = find_spec(package)  # finds the package without running any of its code
        if spec is None or not spec.submodule_search_locations:
            raise SearcherError('the sample photos are not installed: pip install "searcher[demo]"')
        at = Path(spec.submodule_search_locations[0]) / folder
        found += [at / name for name in names if (at / name).is_file()]
    return sorted(found, key=lambda path: path.name)
