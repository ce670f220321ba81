"""Label sets: what a photo may be called, from the command line, a file, or the sets that ship with the package.

A text file has one label a line; blank lines and lines that begin with `#` are passed over. A TOML file says more:

    templates = ["a photo of a {}.", "{}"]     # for all labels of this file, where they have none of their own

    [labels]
    animal = {}                                # asked by its name
    cat = "house cat"                          # asked by other words than its name
    dog = ["dog", "puppy"]                     # several wordings, averaged
    beagle = {wordings = ["beagle"], parent = "dog", templates = ["a photo of a {}, a kind of dog."]}
"""

import csv
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searcher.datasets.templates import PLACE
from searcher.errors import SearcherError

SETS = Path(__file__).parent / "sets"
FIELDS = ("wordings", "parent", "templates")


@dataclass(frozen=True, slots=True)
class Label:
    """One label. wordings: the words that the model is asked with, at least one. parent: the name of a wider label.
    templates: its own, each with `{}`; None: those that everything is asked with."""

    name: str
    wordings: tuple[str, ...]
    parent: str | None = None
    templates: tuple[str, ...] | None = None


def set_names() -> list[str]:
    """The label sets that ship with the package, as they are asked for: "@cifar10" …"""
    return sorted(f"@{path.stem}" for path in SETS.glob("*.txt"))


def read_labels(spec: str) -> list[Label]:
    """Labels by what a user gives: `a,b,"c, d"`, the path of a text or TOML file, or one of `set_names()`.

    White space is single; a label that is there twice is one label. What looks like a path must exist: a mistyped
    file name never becomes a label. Raises SearcherError in one line.
    """
    if re.fullmatch(r"@\S*", spec) and "," not in spec:
        if spec not in set_names():
            raise SearcherError(f"no label set {spec}: there are {', '.join(set_names())}")
        return _read_text(SETS / f"{spec[1:]}.txt")
    try:
        path = Path(spec).expanduser()
        is_file = path.exists() and not path.is_dir()
    except (OSError, ValueError, RuntimeError):  # too long for a name, a NUL in it, no such user's home
        is_file = False
    if is_file:
        return _read_toml(path) if path.suffix.lower() == ".toml" else _read_text(path)
    if _looks_like_path(spec):
        raise SearcherError(f"no such file of labels: {spec}")
    rows = list(csv.reader([spec.replace("\n", " ")], skipinitialspace=True))
    return _plain(rows[0] if rows else [], "--labels")


def lineage(label: Label, labels: Iterable[Label]) -> tuple[str, ...]:
    """The names from the widest label down to this one: ("animal", "dog", "beagle")."""
    parents = {each.name: each.parent for each in labels}
    names = [label.name]
    above = label.parent
    while above is not None and above not in names:
        names.append(above)
        above = parents.get(above)
    return tuple(reversed(names))


def _looks_like_path(spec: str) -> bool:
    """`labels.txt`, `a/b`, `~/labels`, `.\\labels`; not `St. Bernard`, nor `cat,dog/wolf`."""
    if re.search(r"\.(txt|toml|csv|tsv|json|jsonl|ya?ml|md|lst)$", spec, re.IGNORECASE):
        return True
    return "," not in spec and (re.search(r"[/\\]|\w\.\w{1,5}$", spec) is not None or spec.startswith(("~", ".")))


def _plain(names: Iterable[str], source: str | Path) -> list[Label]:
    cleaned = dict.fromkeys(" ".join(name.split()) for name in names)
    labels = [Label(name, (name,)) for name in cleaned if name]
    if not labels:
        raise SearcherError(f"no labels in {source}")
    return labels


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SearcherError(f"cannot read labels from {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise SearcherError(f"cannot read labels from {path}: not UTF-8 text") from error


def _read_text(path: Path) -> list[Label]:
    # not splitlines(): it also breaks at characters that a label may hold, such as U+2028
    lines = _read(path).split("\n")
    return _plain((line for line in lines if not line.lstrip().startswith("#")), path)


def _read_toml(path: Path) -> list[Label]:
    try:
        table = tomllib.loads(_read(path))
    except tomllib.TOMLDecodeError as error:
        raise SearcherError(f"{path} is not TOML: {error}") from error
    unknown = table.keys() - {"labels", "templates"}
    if unknown:
        raise SearcherError(f"{path}: unknown {sorted(unknown)[0]!r}; labels belong below [labels]")
    shared = _templates(table.get("templates"), path, "templates")
    entries = table.get("labels")
    if not isinstance(entries, dict) or not entries:
        raise SearcherError(f"no labels in {path}: they belong below [labels]")
    labels: dict[str, Label] = {}
    for name, entry in entries.items():
        label = _label(" ".join(name.split()), entry, shared, path)
        if label.name in labels:
            raise SearcherError(f"{path}: the label {label.name!r} is there twice")
        labels[label.name] = label
    _check_parents(labels, path)
    return list(labels.values())


def _label(name: str, entry: Any, shared: tuple[str, ...] | None, path: Path) -> Label:
    if not name:
        raise SearcherError(f"{path}: a label without a name")
    table = entry if isinstance(entry, dict) else {"wordings": entry}
    unknown = table.keys() - set(FIELDS)
    if unknown:
        raise SearcherError(f"{path}: {name!r} has no field {sorted(unknown)[0]!r}, only {', '.join(FIELDS)}")
    wordings = _texts(table.get("wordings", name), path, f"the wordings of {name!r}")
    parent = table.get("parent")
    if parent is not None and (not isinstance(parent, str) or not parent.strip()):
        raise SearcherError(f"{path}: the parent of {name!r} is no text")
    templates = _templates(table.get("templates"), path, f"the templates of {name!r}")
    return Label(name, wordings, None if parent is None else " ".join(parent.split()), templates or shared)


def _texts(value: Any, path: Path, what: str) -> tuple[str, ...]:
    values: Sequence[Any] = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    texts = dict.fromkeys(" ".join(text.split()) for text in values if isinstance(text, str))
    texts.pop("", None)
    if not texts or not all(isinstance(text, str) for text in values):
        raise SearcherError(f"{path}: {what} must be a text, or a list of texts")
    return tuple(texts)


def _templates(value: Any, path: Path, what: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    templates = _texts(value, path, what)
    if not all(PLACE in template for template in templates):
        raise SearcherError(f"{path}: {what}: each needs a {{}} where the name belongs")
    return templates


def _check_parents(labels: dict[str, Label], path: Path) -> None:
    for label in labels.values():
        seen, above = {label.name}, label.parent
        while above is not None:
            if above in seen:
                raise SearcherError(f"{path}: {label.name!r} is its own parent")
            seen.add(above)
            above = labels[above].parent if above in labels else None
