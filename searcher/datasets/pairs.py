"""Reads pairs of images and captions."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from searcher.datasets.classes import is_photo, read_class_folder
from searcher.datasets.tables import Record, locate, read_json_lines, read_table
from searcher.datasets.templates import TEMPLATES, fill
from searcher.datasets.text import clean_all, decode_text
from searcher.errors import InvalidInput, NotFound

SHOWN = 100  # characters of a name in a message


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

    bad: one message per record that could not be used. records: the number of all records. remarks: what the user
    should know about the records that are used, such as a guessed encoding.
    """

    path: Path
    pairs: list[Pair]
    bad: list[str] = field(default_factory=list)
    records: int = 0
    remarks: list[str] = field(default_factory=list)


def read_source(path: Path) -> Source:
    """Read pairs from a CSV, TSV or JSON-lines file, a folder of images with `.txt` captions, or class folders.

    Image paths are relative to the folder of the file. Several rows for the same image become one pair with several
    captions. Records that cannot be used are listed in `Source.bad`.

    Raises NotFound if the source does not exist, and InvalidInput if it cannot be read or has no usable pair.
    """
    if not path.exists():
        raise NotFound(f"no such file or folder: {path}")
    try:
        source = _read(path)
    except OSError as error:
        raise InvalidInput(f"cannot read pairs from {path}: {error.strerror or error}") from error
    if not source.pairs:
        raise InvalidInput(f"no usable (image, caption) pair in {path}" + (f": {source.bad[0]}" if source.bad else ""))
    return source


def _read(path: Path) -> Source:
    suffix = path.suffix.lower()
    if path.is_dir():
        images = sorted(p for p in path.iterdir() if is_photo(p))
        return _collect(path, path, _records_of_folder(images)) if images else _read_classes(path)
    if suffix in (".csv", ".tsv"):
        return _collect(path, path.parent, read_table(path))
    if suffix in (".jsonl", ".ndjson"):
        return _collect(path, path.parent, read_json_lines(path))
    raise InvalidInput(f"cannot read pairs from {path}: not a .csv, .tsv or .jsonl file or a folder")


def _collect(path: Path, folder: Path, records: Iterator[Record | str]) -> Source:
    """Join the records of each image, and collect the unusable records.

    folder: the image paths are relative to it. records: a string is the reason why a record cannot be used.
    """
    joined: dict[str, tuple[list[str], str | None, int]] = {}
    bad: list[str] = []
    remarks: Counter[str] = Counter()
    first: dict[str, int] = {}
    number = 0
    for number, record in enumerate(records, 1):
        reason = record if isinstance(record, str) else _add(record, folder, number, joined)
        if reason is not None:
            bad.append(f"record {number}: {reason}")
        elif isinstance(record, Record) and record.remark is not None:
            remarks[record.remark] += 1
            first.setdefault(record.remark, number)
    pairs = [Pair(image, tuple(texts), label, row) for image, (texts, label, row) in joined.items()]
    return Source(
        path, pairs, bad, number, [_counted(path, remark, count, first[remark]) for remark, count in remarks.items()]
    )


def _add(record: Record, folder: Path, number: int, joined: dict[str, tuple[list[str], str | None, int]]) -> str | None:
    """Add a record to those of its image. Returns the reason if it cannot be used."""
    if not record.image:
        return "no image"
    if not record.captions:
        return "no caption"
    file = locate(folder, record.image)
    if file is None:
        name = record.image if len(record.image) <= SHOWN else record.image[:SHOWN] + "…"
        return f"no such image: {name}"
    joined.setdefault(str(file), ([], record.label, number - 1))[0].extend(record.captions)
    return None


def _counted(path: Path, remark: str, count: int, first: int) -> str:
    others = f" (the same is true of {count - 1:,} more)" if count > 1 else ""
    return f"{path}: record {first}: {remark}{others}"


def _records_of_folder(images: list[Path]) -> Iterator[Record | str]:
    for image in images:
        texts = [image.with_suffix(suffix) for suffix in (".txt", ".TXT")]
        text = next((text for text in texts if text.is_file()), None)
        if text is None:
            yield f"{image.name} has no caption file {texts[0].name}"
            continue
        try:
            content, guessed = decode_text(text.read_bytes())
        except OSError as error:
            yield f"{text.name}: {error.strerror or error}"
            continue
        remark = "its caption file is not UTF-8, so it was read as Windows-1252" if guessed else None
        yield Record(image.name, clean_all(content.splitlines()), None, remark)


def _read_classes(path: Path) -> Source:
    classes = read_class_folder(path)
    pairs = [
        Pair(str(image), tuple(fill(template, name) for template in (*TEMPLATES, "{}")), name, row)
        for row, (name, image) in enumerate(
            (name, image) for name, images in zip(classes.names, classes.images, strict=True) for image in images
        )
    ]
    return Source(path, pairs, list(classes.bad), len(pairs), list(classes.remarks))
