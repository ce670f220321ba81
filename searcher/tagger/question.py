"""A question about photos: which labels to check, whether to pick exactly one, and how many to give at most."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any

from searcher.datasets.labels import Label, lineage, read_labels
from searcher.datasets.templates import ENSEMBLE
from searcher.errors import InvalidInput
from searcher.models.relevance import FITS

MOST_LABELS = 50  # default limit per photo, so that an unsuitable model does not fill the disk


@dataclass(frozen=True, slots=True)
class Question:
    """Which labels photos are checked for.

    `one`: rank all labels and give the best. Otherwise each label is judged by itself, and a photo may get none.
    `top`: the largest number of labels per photo. None means 1 with `one`, and MOST_LABELS without.
    `least`: without `one`, the relevance from which on a photo gets a label.
    `templates`: with `one`, the prompt templates of labels without their own.

    Raises InvalidInput if there are no labels, if `top` is less than 1, if `least` is not between 0 and 1, or if a name
    is invalid (see `check_name`).
    """

    labels: tuple[Label, ...]
    one: bool = False
    top: int | None = None
    least: float = FITS
    templates: tuple[str, ...] = ENSEMBLE

    def __post_init__(self) -> None:
        if not self.labels:
            raise InvalidInput("no labels given; name at least one")
        if self.top is not None and self.top < 1:
            raise InvalidInput("the number of labels must be at least 1")
        if not 0 <= self.least <= 1:
            raise InvalidInput("the least relevance must be between 0 and 1")
        for label in self.labels:
            check_name(label.name)

    @property
    def most(self) -> int:
        """The largest number of labels that a photo gets."""
        return self.top or (1 if self.one else MOST_LABELS)

    @property
    def names(self) -> list[str]:
        """The names of the labels, in their order."""
        return [label.name for label in self.labels]

    def definition(self) -> str:
        """The question as JSON, for `read_definition`."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))

    def key(self) -> str:
        """A digest of the definition, which identifies the question."""
        return digest(self.definition())


def check_name(name: str) -> None:
    """Raise InvalidInput if `name` cannot be the name of a label, because a catalog cannot store it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"the label {name!r} is not UTF-8 text") from None
    if "\0" in name:
        raise InvalidInput(f"the label {name!r} contains a NUL character")


def label_name(text: str) -> str:
    """The name of the label that a user calls `text`: runs of white space become one space.

    Raises InvalidInput if it is blank or invalid (see `check_name`).
    """
    name = " ".join(text.split())
    if not name:
        raise InvalidInput("a label needs a name")
    check_name(name)
    return name


def ask(labels: Sequence[str] | str, one: bool = False, top: int | None = None, least: float | None = None) -> Question:
    """Make a question from a list of label names, or from a string in the format of `searcher tag --labels`.

    least: None means FITS. Raises InvalidInput if there are no labels, or if `least` is given with `one`, and
    SearcherError if the string or the file that it names is invalid.
    """
    if one and least is not None:
        raise InvalidInput("a least relevance has no meaning if every photo gets exactly one label")
    if isinstance(labels, str):
        found = read_labels(labels)
    else:
        names = dict.fromkeys(" ".join(name.split()) for name in labels)
        found = [Label(name, (name,)) for name in names if name]
    return Question(tuple(found), one, top, FITS if least is None else least)


def digest(text: str) -> str:
    """Hash a text to 32 hex digits."""
    return blake2b(text.encode(), digest_size=16).hexdigest()


def read_definition(text: str) -> Question:
    """Read a question from the JSON that `Question.definition` returned."""
    fields: dict[str, Any] = json.loads(text)
    labels = [
        Label(
            row["name"],
            tuple(row["wordings"]),
            row["parent"],
            None if row["templates"] is None else tuple(row["templates"]),
        )
        for row in fields.pop("labels")
    ]
    templates = tuple(fields.pop("templates"))
    return Question(tuple(labels), templates=templates, **fields)


def parents(labels: Sequence[Label]) -> dict[str, str | None]:
    """Map every label, and every broader label that `labels` mention, to its parent, or to None if it has none."""
    given = {label.name: label.parent for label in labels}
    known: dict[str, str | None] = {}
    for label in labels:
        names = lineage(label.name, given)
        known.update({name: above for above, name in zip((None, *names), names, strict=False) if name not in known})
    return known
