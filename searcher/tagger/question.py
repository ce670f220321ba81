"""A question that can be put to photos: which labels, one of them or any of them, and how many at most."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from searcher.datasets.labels import Label, lineage, read_labels
from searcher.datasets.templates import ENSEMBLE
from searcher.errors import SearcherError

if TYPE_CHECKING:
    from searcher.models import Model

MOST_LABELS = 50  # that a photo is given unless said: a model that fits badly must not fill the disk
FOR_ALL = "*"  # in the thresholds of searcher.json: every label that has none of its own
UNCALIBRATED = 0.9  # where the model has no threshold: rather no label than a wrong one


@dataclass(frozen=True, slots=True)
class Question:
    """`one`: which one of the labels; else: which of them are in it. `top`: the most labels a photo is given, None for
    one with `one` and MOST_LABELS without. `templates` for labels that have none of their own."""

    labels: tuple[Label, ...]
    one: bool = False
    top: int | None = None
    templates: tuple[str, ...] = ENSEMBLE

    def __post_init__(self) -> None:
        if not self.labels:
            raise SearcherError("there are no labels to ask for")
        if self.top is not None and self.top < 1:
            raise SearcherError("at least one label must be asked for")
        for label in self.labels:
            try:
                label.name.encode()
            except UnicodeEncodeError:
                raise SearcherError(f"the label {label.name!r} is not UTF-8 text") from None

    @property
    def most(self) -> int:
        """The most labels that a photo is given."""
        return self.top or (1 if self.one else MOST_LABELS)

    @property
    def names(self) -> list[str]:
        return [label.name for label in self.labels]

    def definition(self) -> str:
        """The question as JSON; `read_definition` reads it."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))

    def key(self) -> str:
        """A digest of the definition."""
        return digest(self.definition())


def ask(labels: Sequence[str] | str, one: bool = False, top: int | None = None) -> Question:
    """The question for labels by name, or by what `searcher tag --labels` takes. Raises SearcherError."""
    if isinstance(labels, str):
        return Question(tuple(read_labels(labels)), one, top)
    names = dict.fromkeys(" ".join(name.split()) for name in labels)
    return Question(tuple(Label(name, (name,)) for name in names if name), one, top)


def digest(text: str) -> str:
    """32 hex digits that stand for a text."""
    return blake2b(text.encode(), digest_size=16).hexdigest()


def read_definition(text: str) -> Question:
    """The question that `Question.definition` wrote."""
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
    """Every name that `labels` say something about, wider labels included, with its parent."""
    known: dict[str, str | None] = {}
    for label in labels:
        names = lineage(label, labels)
        known.update({name: above for above, name in zip((None, *names), names, strict=False) if name not in known})
    return known


def thresholds(model: "Model") -> Mapping[str, float]:
    """The probability from which on each label is given, by the model's calibration; empty when it has none."""
    found = model.info.get("thresholds") or {}
    return {str(name): float(value) for name, value in found.items()}
