"""Reads class folders: one folder of photos per class, which are found as `searcher index` finds them."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from searcher.datasets.text import clean
from searcher.errors import InvalidInput, NotFound
from searcher.photos.choice import choose
from searcher.photos.rules import SKIPPED_FOLDERS, FolderOptions, Raw
from searcher.photos.scan import FoundFile, Unreadable, scan
from searcher.photos.suffixes import PHOTO_SUFFIXES

SPLITS = frozenset(["train", "training", "val", "valid", "validation", "dev", "test", "testing", "eval"])
"""Names of the parts of a data set. Each part has class folders of its own."""


@dataclass(frozen=True)
class ClassFolder:
    """Images in one folder per class: `root/<class name>/*.jpg`.

    names: the folder names, sorted, with `_` replaced by a space. images: the image files of each class. bad: one
    message per image that could not be listed. remarks: what the user should know besides, such as an empty class.
    """

    path: Path
    names: list[str]
    images: list[list[Path]]
    bad: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def is_photo(path: Path) -> bool:
    """Whether this is the name of a photo. Hidden files are none, such as `._a.jpg`, which macOS writes."""
    return path.suffix.lower().encode("utf-8", "replace") in PHOTO_SUFFIXES and not path.name.startswith(".")


def holds_photos(folder: Path) -> bool:
    """Whether there are photos directly in the folder. Subfolders are not searched."""
    return any(is_photo(path) for path in folder.iterdir())


def read_class_folder(path: Path) -> ClassFolder:
    """Read the classes in a folder, sorted by name, and the image files of each class.

    Hidden folders and those of other programs are skipped, as `searcher index` does it. Raises NotFound if the folder
    does not exist, and InvalidInput if it has no class folders with images, or if its folders are the parts of a data
    set (train, val, …) and the classes are in them.
    """
    if not path.is_dir():
        raise NotFound(f"no such folder: {path}")
    found = ClassFolder(path, [], [])
    for folder in sorted(p for p in path.iterdir() if p.is_dir() and not _is_skipped(p)):
        if path.resolve().is_relative_to(folder.resolve()):
            found.remarks.append(f"{folder} is left out: it is a link to a folder around it")
            continue
        files = _photos_in(folder, found.bad)
        if files:
            found.names.append(clean(folder.name.replace("_", " ")))
            found.images.append(files)
        else:
            found.remarks.append(f"there is no photo in the class folder {folder}")
    if not found.names:
        raise InvalidInput(f"no class folders with images in {path}")
    _check_level(found)
    return found


def _is_skipped(folder: Path) -> bool:
    return folder.name.startswith(".") or os.fsencode(folder.name).lower() in SKIPPED_FOLDERS


def _photos_in(folder: Path, bad: list[str]) -> list[Path]:
    files = []
    try:
        for entry in choose(scan(os.fsencode(folder), FolderOptions(follow_links=True)), Raw.NONE):
            if isinstance(entry, FoundFile):
                files.append(folder / os.fsdecode(entry.relpath))
            elif isinstance(entry, Unreadable):
                bad.append(f"{folder / os.fsdecode(entry.relpath)}: {entry.error.strerror or entry.error}")
    except OSError as error:
        bad.append(f"{folder}: {error.strerror or error}")
    return sorted(files)


def _check_level(classes: ClassFolder) -> None:
    parts = [name for name in classes.names if name.lower() in SPLITS]
    if len(parts) < len(classes.names):
        return
    folders = [next(p for p in images[0].parents if p.parent == classes.path) for images in classes.images]
    if any(image.parent == folder for folder, images in zip(folders, classes.images, strict=True) for image in images):
        return
    raise InvalidInput(
        f"{classes.path} has no class folders: its folders are {', '.join(parts)}, and the classes are nested in them. "
        f"Give one of them, such as {folders[0]}"
    )
