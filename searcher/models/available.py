"""Models that are known to work: open_clip's registry with published quality, and Immich's ready-made folders.

The table is a file that recipes/available/make.py writes. Reading it needs neither torch nor a network connection.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

# The smallest model of the table that knows many languages and needs no torch: what to pull for other languages.
MULTILINGUAL = "immich-app/XLM-Roberta-Base-ViT-B-32__laion5b_s13b_b90k"

_TABLE = Path(__file__).parent / "available.json"


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(_TABLE.read_text(encoding="utf-8"))
    return table


def available_models() -> list[dict[str, Any]]:
    """One dict per model, smallest first, then by name. Models of unknown size come last.

    The keys are `name` (ARCHITECTURE/TAG), `hub` (the hub repository that needs no torch, or None), `dim`,
    `image_size` (pixels), `millions` (of parameters), `languages` (None: many) and `imagenet` (published
    zero-shot top-1 accuracy, or None).
    """
    models: list[dict[str, Any]] = _table()["models"]
    return models


def known_architecture(name: str) -> bool:
    """Whether `name` is one of open_clip's architectures (such as ViT-B-32) and not the owner of a hub repository."""
    return name in _table()["architectures"]


def find_available(name: str) -> dict[str, Any] | None:
    """The row of a model, found by its ARCHITECTURE/TAG or its hub repository. None if it is not in the table."""
    return next((row for row in available_models() if name in (row["name"], row["hub"])), None)


def facts_of(name: str) -> dict[str, Any]:
    """The facts to record in the manifest of a known model. Empty if the model is not in the table."""
    row = find_available(name)
    return {} if row is None else {"languages": row["languages"]}
