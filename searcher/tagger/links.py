"""Photos sorted into a folder per label, as symbolic links."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from searcher.errors import SearcherError
from searcher.tagger.run import Tagged

LONGEST_NAME = 200  # bytes; file systems end at 255


@dataclass(slots=True)
class LinkReport:
    """How many links were made, were there already, and were removed."""

    made: int = 0
    kept: int = 0
    removed: int = 0


def link_photos(photos: Iterable[Tagged], names: Sequence[str], folder: Path, dry_run: bool = False) -> LinkReport:
    """Let `folder/<label>/` hold a symbolic link to every photo with that label, for the labels `names`.

    A link there to a photo of the library that has the label no more is removed; everything else stays as it is.
    Photos of the same name get their ids behind it, and a name that somebody else took a "~". With `dry_run` nothing
    is changed. Raises SearcherError.
    """
    report = LinkReport()
    folder = folder.expanduser().absolute()
    wanted: dict[Path, dict[str, Path]] = {folder / folder_name(name): {} for name in names}
    library: set[Path] = set()
    for photo in photos:
        path = Path(photo.path)
        library.add(path)
        for name, _ in photo.tags:
            links = wanted[folder / folder_name(name)]
            taken = path.name in links and links[path.name] != path
            links[f"{path.stem} ({photo.photo.id}){path.suffix}" if taken else path.name] = path
    try:
        for place, links in wanted.items():
            _link(place, links, library, report, dry_run)
    except OSError as error:
        raise SearcherError(f"cannot make links in {folder}: {error.strerror or error}") from error
    return report


def folder_name(label: str) -> str:
    """A label as the name of a folder: no separators, control characters or leading dot, and not too long."""
    name = "".join("_" if letter in '/\\:*?"<>|' or not letter.isprintable() else letter for letter in label)
    name = f"_{name[1:]}" if name.startswith(".") else name
    if len(name.encode()) > LONGEST_NAME:
        digest = blake2b(label.encode(), digest_size=4).hexdigest()
        name = f"{name.encode()[:LONGEST_NAME].decode(errors='ignore')}-{digest}"
    return name


def _link(place: Path, links: dict[str, Path], library: set[Path], report: LinkReport, dry_run: bool) -> None:
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
            while link.is_symlink() or link.exists():  # somebody else's
                link = link.with_name(f"{link.stem}~{link.suffix}")
            link.symlink_to(target)
