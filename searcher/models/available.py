"""What is known to work: open_clip's registry with published quality, and what Immich publishes ready for
use.

The table is a file (recipes/available/make.py writes it), so that looking at it needs neither torch nor a
network.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

_TABLE = Path(__file__).parent / "available.json"


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(_TABLE.read_text(encoding="utf-8"))
    return table


def available_models() -> list[dict[str, Any]]:
    """One dict a model, smallest first: name (ARCHITECTURE/TAG), hub (the repository that brings it without
    torch, or None), dim, image_size (pixels), millions (of parameters), languages (None: many), imagenet
    (published zero-shot top-1, or None).
    """
    models: list[dict[str, Any]] = _table()["models"]
    return models


def known_architecture(name: str) -> bool:
    """Whether `name` is one of open_clip's architectures (ViT-B-32), not the owner of a hub repository."""
    return name in _table()["architectures"]


def find_available(name: str) -> dict[str, Any] | None:
    """The row of a model by its ARCHITECTURE/TAG or its hub repository."""
    return next((row for row in available_models() if name in (row["name"], row["hub"])), None)


def facts_of(name: str) -> dict[str, Any]:
    """What a manifest may say of a known model; empty for an unknown one."""
    row = find_available(name)
    return {} if row is None else {"languages": row["languages"]}
