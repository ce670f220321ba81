"""Reads label sets: from the command line, from a file, or from the sets that ship with this package.

A text file has one label per line. Blank lines and lines that begin with `#` are ignored. A TOML file can also set
wordings, parents and templates:

    templates = ["a photo of a {}.", "{}"]     # for labels without their own templates

    [labels]
    animal = {}                                # the wording is the name
    cat = "house cat"                          # another wording than the name
    dog = ["dog", "puppy"]                     # several wordings, whose embeddings are averaged
    beagle = {wordings = ["beagle"], parent = "dog", templates = ["a photo of a {}, a kind of dog."]}
"""

import csv
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searcher.datasets.templates import PLACE
from searcher.datasets.text import read_list, read_text
from searcher.errors import InvalidInput, NotFound

SETS = Path(__file__).parent / "sets"
FIELDS = ("wordings", "parent", "templates")
_FILE_SUFFIX = re.compile(r"\.(txt|toml|csv|tsv|json|jsonl|ya?ml|md|lst)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Label:
    """One label.

    wordings: the words that are put into the templates, at least one. parent: the name of a broader label.
    templates: its own prompt templates, each with `{}`. None means the default templates.
    """

    name: str
    wordings: tuple[str, ...]
    parent: str | None = None
    templates: tuple[str, ...] | None = None


def set_names() -> list[str]:
    """The names of the label sets that ship with this package, as used on the command line: "@cifar10", …"""
    return sorted(f"@{path.stem}" for path in SETS.glob("*.txt"))


def read_labels(spec: str) -> list[Label]:
    """Read labels from a user's argument: `a,b,"c, d"`, the path of a text or TOML file, or one of `set_names()`.

    Runs of white space become one space. Duplicates in a list or a text file are dropped. If the argument looks like
    a path, the file must exist, so that a mistyped file name never becomes a label. With a comma at its end (`AC/DC,`)
    it is a list of one label.

    Raises NotFound if the file or label set does not exist, and InvalidInput if it is invalid or has no labels, or if
    a list contains a file or label set.
    """
    if re.fullmatch(r"@\S*", spec) and "," not in spec:
        if spec not in set_names():
            raise NotFound(f"unknown label set {spec}; the label sets are {', '.join(set_names())}")
        return _list(SETS / f"{spec[1:]}.txt")
    try:
        path = Path(os.path.expanduser(spec))
        is_file = path.exists() and not path.is_dir()
    except (OSError, ValueError):  # the name is too long or has a NUL
        is_file = False
    if is_file:
        return _read_toml(path) if path.suffix.lower() == ".toml" else _list(path)
    rows = list(csv.reader([spec.replace("\n", " ")], skipinitialspace=True))
    labels = _plain(rows[0] if rows else [], "--labels")
    if len(labels) > 1:
        for label in labels:
            if label.name.startswith("@") or _FILE_SUFFIX.search(label.name):
                what = "label set" if label.name.startswith("@") else "label file"
                raise InvalidInput(f"{label.name} must stand alone: other labels cannot be added to a {what}")
    elif _looks_like_path(spec):
        raise NotFound(f'no such label file: {spec}; if it is the name of a label, add a comma: "{spec},"')
    return labels


def lineage(name: str, parents: Mapping[str, str | None]) -> tuple[str, ...]:
    """The names from the broadest label down to `name`, such as ("animal", "dog", "beagle").

    parents: label → the name of its broader label. A label without an entry has none. A circle of parents ends before
    a name would repeat.
    """
    names = [name]
    while (above := parents.get(names[-1])) is not None and above not in names:
        names.append(above)
    return tuple(reversed(names))


def _looks_like_path(spec: str) -> bool:
    """True for `labels.txt`, `a/b`, `~/labels` and `.\\labels`. False for `St. Bernard` and `cat,dog/wolf`."""
    if _FILE_SUFFIX.search(spec):
        return True
    return "," not in spec and (re.search(r"[/\\]|\w\.\w{1,5}$", spec) is not None or spec.startswith(("~", ".")))


def _plain(names: Iterable[str], source: str | Path) -> list[Label]:
    cleaned = dict.fromkeys(" ".join(name.split()) for name in names)
    labels = [Label(name, (name,)) for name in cleaned if name]
    if not labels:
        raise InvalidInput(f"no labels in {source}")
    return labels


def _list(path: Path) -> list[Label]:
    return _plain(read_list(path, "labels"), path)


def _read_toml(path: Path) -> list[Label]:
    try:
        table = tomllib.loads(read_text(path, "labels"))
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"{path} is not valid TOML: {error}") from error
    except RecursionError as error:
        raise InvalidInput(f"{path} is not valid TOML: nested too deeply") from error
    except ValueError as error:  # a number of thousands of digits
        raise InvalidInput(f"{path} is not valid TOML: a number or date that is out of range") from error
    unknown = table.keys() - {"labels", "templates"}
    if unknown:
        raise InvalidInput(f"{path}: unknown key {sorted(unknown)[0]!r}; put labels under [labels]")
    shared = _templates(table.get("templates"), path, "templates")
    entries = table.get("labels")
    if not isinstance(entries, dict) or not entries:
        raise InvalidInput(f"no labels in {path}; put them under [labels]")
    labels: dict[str, Label] = {}
    for name, entry in entries.items():
        label = _label(" ".join(name.split()), entry, shared, path)
        if label.name in labels:
            raise InvalidInput(f"{path}: duplicate label {label.name!r}")
        labels[label.name] = label
    _check_parents(labels, path)
    return list(labels.values())


def _label(name: str, entry: Any, shared: tuple[str, ...] | None, path: Path) -> Label:
    if not name:
        raise InvalidInput(f"{path}: a label has no name")
    table = entry if isinstance(entry, dict) else {"wordings": entry}
    unknown = table.keys() - set(FIELDS)
    if unknown:
        raise InvalidInput(f"{path}: {name!r}: unknown field {sorted(unknown)[0]!r}; use {', '.join(FIELDS)}")
    wordings = _texts(table.get("wordings", name), path, f"the wordings of {name!r}")
    parent = table.get("parent")
    if parent is not None and (not isinstance(parent, str) or not parent.strip()):
        raise InvalidInput(f"{path}: the parent of {name!r} must be a string")
    templates = _templates(table.get("templates"), path, f"the templates of {name!r}")
    return Label(name, wordings, None if parent is None else " ".join(parent.split()), templates or shared)


def _texts(value: Any, path: Path, what: str) -> tuple[str, ...]:
    values: Sequence[Any] = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    texts = dict.fromkeys(" ".join(text.split()) for text in values if isinstance(text, str))
    texts.pop("", None)
    if not texts or not all(isinstance(text, str) for text in values):
        raise InvalidInput(f"{path}: {what} must be a string or a list of strings")
    return tuple(texts)


def _templates(value: Any, path: Path, what: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    templates = _texts(value, path, what)
    if not all(PLACE in template for template in templates):
        raise InvalidInput(f"{path}: {what}: each template must contain {{}} for the name")
    return templates


def _check_parents(labels: dict[str, Label], path: Path) -> None:
    for label in labels.values():
        seen, above = {label.name}, label.parent
        while above is not None:
            if above in seen:
                raise InvalidInput(f"{path}: {label.name!r} is its own parent")
            seen.add(above)
            above = labels[above].parent if above in labels else None
