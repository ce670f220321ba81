"""Sorts photos into one folder per label, as symbolic links."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from searcher.catalog.rows import Photo
from searcher.errors import SearcherError

LONGEST_NAME = 200  # bytes, before a suffix is added; most file systems allow 255


@dataclass(slots=True)
class LinkReport:
    """How many links were made, already existed, and were removed. In a dry run, how many would be."""

    made: int = 0
    kept: int = 0
    removed: int = 0


def link_photos(photos: Iterable[Photo], names: Sequence[str], folder: Path, dry_run: bool = False) -> LinkReport:
    """For each label in `names`, fill `folder/<label>/` with symbolic links to all photos that have the label.

    Links there to photos of the library that no longer have the label are removed. Everything else stays. If several
    photos have the same file name, the links of the later ones get the photo's id, as in "x (2).jpg". If something
    else already has the name, the link gets a "~", as in "x~.jpg". With `dry_run`, nothing is changed. Raises
    SearcherError if a folder or link cannot be read, made or removed.
    """
    report = LinkReport()
    folder = Path(os.path.expanduser(folder)).absolute()
    wanted: dict[Path, dict[str, Path]] = {folder / folder_name(name): {} for name in names}
    chosen, library = frozenset(names), set[Path]()
    for photo in photos:
        path = Path(photo.path)
        library.add(path)
        for name in (tag.label for tag in photo.tags if tag.label in chosen):
            links = wanted[folder / folder_name(name)]
            taken = path.name in links and links[path.name] != path
            links[f"{path.stem} ({photo.id}){path.suffix}" if taken else path.name] = path
    try:
        for place, links in wanted.items():
            _link(place, links, library, report, dry_run)
    except OSError as error:
        raise SearcherError(f"cannot make links in {folder}: {error.strerror or error}") from error
    return report


def folder_name(label: str) -> str:
    """Turn a label into a folder name without separators, control characters or a leading dot. Long names are cut."""
    name = "".join("_" if letter in '/\\:*?"<>|' or not letter.isprintable() else letter for letter in label)
    name = f"_{name[1:]}" if name.startswith(".") else name
    if len(name.encode()) > LONGEST_NAME:
        digest = blake2b(label.encode(), digest_size=4).hexdigest()
        name = f"{name.encode()[:LONGEST_NAME].decode(errors='ignore')}-{digest}"
    return name


def _link(place: Path, links: dict[str, Path], library: set[Path], report: LinkReport, dry_run: bool) -> None:
    if place.is_symlink():
        raise SearcherError(f"{place} is itself a link: remove it, or choose another folder for the links")
    found = {path.name: path.readlink() for path in place.iterdir() if path.is_symlink()} if place.is_dir() else {}
    for name, target in found.items():
        if links.get(name) == target:
            report.kept += 1
        elif target in library:
            report.removed += 1
            if not dry_run:
                (place / name).unlink()
    for name, target in links.items():
        if found.get(name) == target:
            continue
        report.made += 1
        if not dry_run:
            place.mkdir(parents=True, exist_ok=True)
            link = place / name
            while link.is_symlink() or link.exists():  # not ours, so keep it
                link = link.with_name(f"{link.stem}~{link.suffix}")
            link.symlink_to(target)
