"""What is noted about photos when they are loaded, because Milvus cannot list the different values of a field."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from searcher.scale.milvus.filtering import ancestors, folder_of, path_bytes_of
from searcher.scale.milvus.registry import FACET, Registry

CAMERA, FORMAT, FOLDER = "camera", "format", "folder"
MOST_NOTED = 5000  # names of a kind


class Notes:
    """The names of cameras, formats and folders. `store` writes the new ones."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known = {kind: set(names) for kind, names in noted(registry).items()}
        self._new: set[str] = set()

    def add(self, images: Iterable[Mapping[str, Any]]) -> None:
        """Note rows of a shard."""
        for image in images:
            self._note(CAMERA, image["camera"])
            self._note(FORMAT, image["format"])
            for folder in ancestors(path_bytes_of(image)):
                self._note(FOLDER, folder)

    def store(self) -> None:
        """Write what is new."""
        self._registry.put(FACET, {name: {} for name in sorted(self._new)})
        self._new.clear()

    def _note(self, kind: str, name: str | None) -> None:
        known = self._known[kind]
        if name and name not in known and len(known) < MOST_NOTED and len(name) < 900:
            known.add(name)
            self._new.add(f"{kind}:{name}")


def noted(registry: Registry) -> dict[str, list[str]]:
    """The names that were noted, by kind."""
    found: dict[str, list[str]] = {CAMERA: [], FORMAT: [], FOLDER: []}
    for name in registry.all(FACET):
        kind, _, rest = name.partition(":")
        found[kind].append(rest)
    return found


def failures_by_folder(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """The folders that hold all rows of a shard, each with how many of them have an error."""
    failed = Counter[str]()
    for row in rows:
        failed[folder_of(path_bytes_of(row))] += row["error"] is not None
    return {top: sum(count for folder, count in failed.items() if is_inside(folder, top)) for top in disjoint(failed)}


def is_inside(folder: str, other: str) -> bool:
    """Whether a folder is another one, or below it."""
    return folder == other or folder.startswith((other.rstrip("/") + "/", other + "#"))


def disjoint(folders: Iterable[str]) -> list[str]:
    """The folders that hold all of these: one for each bucket, and one for this machine."""
    tops: dict[str, list[str]] = {}
    for folder in folders:
        scheme, slashes, rest = folder.rpartition("://")
        bucket = f"{scheme}{slashes}{rest.split('/')[0]}" if slashes else ""
        parts = folder.split("/")
        known = tops.setdefault(bucket, parts)
        same = next((n for n, (one, two) in enumerate(zip(known, parts, strict=False)) if one != two), None)
        tops[bucket] = known[: min(len(known), len(parts)) if same is None else same]
    return sorted("/".join(parts) or "/" for parts in tops.values())
