"""Reads pairs of images and captions, and class folders."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from searcher.datasets.templates import TEMPLATES, fill
from searcher.errors import SearcherError
from searcher.photos.scan import PHOTO_SUFFIXES

IMAGE_COLUMNS = ("image", "filepath")  # our name, and that of open_clip
CAPTION_COLUMNS = ("caption", "captions", "title")


@dataclass(frozen=True, slots=True)
class Pair:
    """One image with its captions.

    label: its class, or None if that is not known. row: the number of its first record in the source, from 0.
    """

    image: str
    captions: tuple[str, ...]
    label: str | None = None
    row: int = 0


@dataclass
class Source:
    """A source of training data.

    bad: one message per record that could not be used. records: the number of all records.
    """

    path: Path
    pairs: list[Pair]
    bad: list[str] = field(default_factory=list)
    records: int = 0


@dataclass(frozen=True)
class ClassFolder:
    """Images in one folder per class: `root/<class name>/*.jpg`.

    names: the folder names, sorted, with `_` replaced by a space. images: the image files of each class.
    """

    path: Path
    names: list[str]
    images: list[list[Path]]


def is_photo(path: Path) -> bool:
    return path.suffix.lower().encode() in PHOTO_SUFFIXES


def holds_photos(folder: Path) -> bool:
    """Whether there are photos directly in the folder. Subfolders are not searched."""
    return any(is_photo(path) for path in folder.iterdir())


def read_source(path: Path) -> Source:
    """Read pairs from a CSV, TSV or JSON-lines file, a folder of images with `.txt` captions, or class folders.

    Image paths are relative to the folder of the file. Several rows for the same image become one pair with several
    captions. Records that cannot be used are listed in `Source.bad`.

    Raises SearcherError if the source cannot be read or has no usable pair.
    """
    if not path.exists():
        raise SearcherError(f"no such file or folder: {path}")
    if path.is_dir():
        source = _read_folder(path)
    elif path.suffix.lower() in (".csv", ".tsv"):
        source = _collect(path, _rows_of_table(path))
    elif path.suffix.lower() in (".jsonl", ".ndjson"):
        source = _collect(path, _rows_of_json_lines(path))
    else:
        raise SearcherError(f"cannot read pairs from {path}: not a .csv, .tsv or .jsonl file or a folder")
    if not source.pairs:
        raise SearcherError(f"no usable (image, caption) pair in {path}" + (f": {source.bad[0]}" if source.bad else ""))
    return source


def read_class_folder(path: Path) -> ClassFolder:
    """Read the classes in a folder, sorted by name, and the image files of each class.

    Raises SearcherError if the folder does not exist or has no class folders with images.
    """
    if not path.is_dir():
        raise SearcherError(f"no such folder: {path}")
    names, images = [], []
    for folder in sorted(p for p in path.iterdir() if p.is_dir()):
        files = sorted(p for p in folder.rglob("*") if is_photo(p))
        if files:
            names.append(folder.name.replace("_", " "))
            images.append(files)
    if not names:
        raise SearcherError(f"no class folders with images in {path}")
    return ClassFolder(path, names, images)


Row = tuple[str | None, list[str], str | None]  # image, captions, label


def _collect(path: Path, rows: Iterator[Row | str]) -> Source:
    """Join the rows of each image, and collect the unusable rows.

    rows: a string is the reason why a row cannot be used.
    """
    joined: dict[str, tuple[list[str], str | None, int]] = {}
    bad: list[str] = []
    number = 0
    for number, row in enumerate(rows, 1):
        if isinstance(row, str):
            bad.append(f"record {number}: {row}")
            continue
        image, captions, label = row
        captions = [" ".join(c.split()) for c in captions if c.strip()]
        if not image:
            bad.append(f"record {number}: no image")
        elif not captions:
            bad.append(f"record {number}: no caption")
        else:
            file = path.parent / image
            if file.is_file():
                joined.setdefault(str(file), ([], label, number - 1))[0].extend(captions)
            else:
                bad.append(f"record {number}: no such image: {image}")
    pairs = [Pair(image, tuple(texts), label, row) for image, (texts, label, row) in joined.items()]
    return Source(path, pairs, bad, number)


def _column(path: Path, columns: list[str], wanted: tuple[str, ...]) -> str:
    for name in wanted:
        if name in columns:
            return name
    raise SearcherError(f"{path} has no column {' or '.join(wanted)}; its columns are: {', '.join(columns) or 'none'}")


def _rows_of_table(path: Path) -> Iterator[Row | str]:
    csv.field_size_limit(1 << 24)  # a very long caption is not an error
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        reader = csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        columns = [name.strip() for name in reader.fieldnames or []]
        reader.fieldnames = columns
        image, caption = _column(path, columns, IMAGE_COLUMNS), _column(path, columns, CAPTION_COLUMNS)
        for row in reader:
            yield row[image], [row[caption] or ""], row.get("label") or None


def _rows_of_json_lines(path: Path) -> Iterator[Row | str]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError:
                yield "not JSON"
                continue
            if not isinstance(row, dict):
                yield "not a JSON object"
                continue
            image = next((row[name] for name in IMAGE_COLUMNS if name in row), None)
            captions: Any = next((row[name] for name in CAPTION_COLUMNS if name in row), [])
            captions = [captions] if isinstance(captions, str) else captions
            if not isinstance(image, str) or not isinstance(captions, list):
                yield "no image or no caption"
                continue
            yield image, [c for c in captions if isinstance(c, str)], row.get("label")


def _read_folder(path: Path) -> Source:
    captioned = [(p, p.with_suffix(".txt")) for p in sorted(path.iterdir()) if is_photo(p)]
    if captioned:
        rows = (
            (image.name, text.read_text(errors="replace").splitlines(), None)
            if text.is_file()
            else f"{image.name} has no caption file {text.name}"
            for image, text in captioned
        )
        return _collect(path / "captions", iter(rows))
    classes = read_class_folder(path)
    pairs = [
        Pair(str(image), tuple(fill(template, name) for template in (*TEMPLATES, "{}")), name, row)
        for row, (name, image) in enumerate(
            (name, image) for name, images in zip(classes.names, classes.images, strict=True) for image in images
        )
    ]
    return Source(path, pairs, records=len(pairs))
