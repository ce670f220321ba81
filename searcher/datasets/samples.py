"""The photos of the demo. They are part of the scikit-image and scikit-learn wheels, so nothing is downloaded."""

from importlib.util import find_spec
from pathlib import Path

from searcher.errors import SearcherError

# Not used: drawings, test charts, microscopy of single cells, and the right image of the stereo pair.
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
    """The installed sample photos, sorted by file name.

    Raises SearcherError if scikit-image or scikit-learn is not installed.
    """
    found = []
    for package, (folder, names) in _SAMPLES.items():
        spec = find_spec(package)  # does not import the package
        if spec is None or not spec.submodule_search_locations:
            raise SearcherError('the sample photos are not installed; run: pip install "searcher[demo]"')
        at = Path(spec.submodule_search_locations[0]) / folder
        found += [at / name for name in names if (at / name).is_file()]
    return sorted(found, key=lambda path: path.name)
