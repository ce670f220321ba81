"""Checks which modules a process loads: searching must not load training code, and --help must not load search code."""

import os
import subprocess
import sys
from pathlib import Path

from tests.pictures import draw

CHECKOUT = Path(__file__).parents[1]
NEVER_FOR_SEARCH = {
    "torch",
    "torchvision",
    "open_clip",
    "timm",
    "transformers",
    "onnx",  # quantises a model when it is imported; searching needs only ONNX Runtime
    "huggingface_hub",
    "lxml",
    "matplotlib",
    "fastapi",
    "uvicorn",
    "pydantic",
    "scipy",
    "skimage",
    "sklearn",
}


def loaded_by(code: str, home: Path) -> set[str]:
    """The top-level modules in sys.modules after a new process has run `code`."""
    tail = "\nimport sys\nprint('LOADED', *{name.split('.')[0] for name in sys.modules})"
    process = subprocess.run(
        [sys.executable, "-c", code + tail],
        capture_output=True,
        text=True,
        env=os.environ
        | {
            "PYTHONPATH": str(CHECKOUT),
            "SEARCHER_LIBRARY": str(home / "library"),
            "SEARCHER_MODELS": str(home / "models"),
        },
    )
    assert process.returncode == 0, process.stderr
    return set(process.stdout.rpartition("LOADED")[2].split())


def command(*arguments: str) -> str:
    return (
        "from searcher.commands import main\n"
        f"try:\n    main({list(arguments)!r})\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
    )


def test_indexing_and_searching_load_no_torch_and_no_training_code(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    draw(photos / "one.jpg", 1)
    loaded = loaded_by(command("index", str(photos)), tmp_path)
    assert "onnxruntime" in loaded
    assert not loaded & NEVER_FOR_SEARCH
    loaded = loaded_by(command("search", "a cat"), tmp_path)
    assert "onnxruntime" in loaded
    assert not loaded & (NEVER_FOR_SEARCH | {"rich", "pillow_heif"})


def test_a_library_loads_only_the_parts_that_are_used(tmp_path: Path) -> None:
    code = "import sys\nfrom searcher import Library\nlibrary = Library.open('library', create=True)\n"
    parts = ("searcher.search", "searcher.indexer", "searcher.tagger", "searcher.vectors", "searcher.models")
    unused = (*parts, "searcher.library.reports", "searcher.library.check", "searcher.library.thumbnails")
    loaded_by(f"{code}assert not [name for name in sys.modules if name.startswith({unused})]", tmp_path)


def test_importing_the_package_loads_no_dependencies(tmp_path: Path) -> None:
    bare = loaded_by("", tmp_path)
    assert loaded_by("import searcher", tmp_path) - bare - set(sys.stdlib_module_names) == {"searcher"}


def test_help_loads_only_click(tmp_path: Path) -> None:
    bare = loaded_by("", tmp_path)
    loaded = loaded_by(command("search", "--help"), tmp_path)
    assert loaded - bare - set(sys.stdlib_module_names) == {"searcher", "click"}
