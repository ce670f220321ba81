# Paths are bytes here because names need not be UTF-8. pathlib does not support bytes.
# ruff: noqa: PTH116, PTH118
"""Which sidecar belongs to which photo, and which sidecars have changed.

The sidecar of `photo.jpg` is `photo.jpg.xmp`, or else `photo.xmp`. If several photos could have `photo.xmp`, it belongs
to none of them, but a camera raw file and another photo of its name count as one photo, as in Lightroom.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from searcher.catalog.rows import SidecarFile
from searcher.photos.scan import FoundSidecar, stored_time
from searcher.photos.suffixes import PHOTO_SUFFIXES, RAW_WITH_SIDECAR_SUFFIXES, SIDECAR_SUFFIX


class SidecarChange(NamedTuple):
    """A sidecar that must be read, or None if the photo has none any more. known: the photo itself did not change."""

    root_id: int
    relpath: bytes
    sidecar: SidecarFile | None
    known: bool


@dataclass(slots=True)
class Beside:
    """What a scan saw: photos, by whether they must be read, and sidecars, by their relative paths."""

    unchanged: list[bytes] = field(default_factory=list)
    new: list[bytes] = field(default_factory=list)
    sidecars: dict[bytes, FoundSidecar] = field(default_factory=dict)


def sidecar_changes(root_id: int, beside: Beside, stored: Mapping[bytes, SidecarFile]) -> Iterator[SidecarChange]:
    """The sidecars that differ from what the catalog knows, and all those of photos that must be read."""
    if not beside.sidecars and not stored:
        return
    unchanged, new = set(beside.unchanged), set(beside.new)
    found = _by_photo(beside.sidecars, unchanged | new)
    for relpath in found.keys() | stored.keys():
        sidecar = found.get(relpath)
        if relpath in new or (relpath in unchanged and sidecar != stored.get(relpath)):
            yield SidecarChange(root_id, relpath, sidecar, relpath in unchanged)


def named_sidecars(root: bytes, relpath: bytes) -> Iterator[FoundSidecar]:
    """The sidecar of one photo, without a scan of its folder."""
    stem = relpath[: -len(_suffix(relpath))]
    for start in (relpath, stem):
        for suffix in (SIDECAR_SUFFIX, SIDECAR_SUFFIX.upper()):
            try:
                status = os.stat(os.path.join(root, start + suffix))
            except (OSError, ValueError):
                continue
            if stat.S_ISREG(status.st_mode) and (start == relpath or not _is_shared(os.path.join(root, relpath))):
                yield FoundSidecar(start + suffix, status.st_size, stored_time(status))
                return


def _by_photo(sidecars: Mapping[bytes, FoundSidecar], photos: set[bytes]) -> dict[bytes, SidecarFile]:
    found: dict[bytes, SidecarFile] = {}
    short: dict[bytes, SidecarFile] = {}
    for relpath in sorted(sidecars, reverse=True):  # the suffix in lower case comes first
        stem, file = relpath[: -len(SIDECAR_SUFFIX)], sidecars[relpath]
        sidecar = SidecarFile(relpath[relpath.rfind(b"/") + 1 :], file.size, file.mtime_ns)
        if stem in photos:
            found.setdefault(stem, sidecar)
        else:
            short.setdefault(stem, sidecar)
    if not short:
        return found
    families: dict[bytes, list[bytes]] = {}
    for photo in photos:
        stem = photo[: -len(_suffix(photo))]
        if stem in short:
            families.setdefault(stem, []).append(photo)
    for stem, family in families.items():
        raws = [photo for photo in family if _suffix(photo).lower() in RAW_WITH_SIDECAR_SUFFIXES]
        for photo in family if len(family) - len(raws) <= 1 else raws:
            found.setdefault(photo, short[stem])
    return found


def _suffix(path: bytes) -> bytes:
    """The suffix with its dot. Of a name without a dot, something that is no suffix."""
    return path[max(path.rfind(b"."), path.rfind(b"/") + 1) :]


def _is_shared(path: bytes) -> bool:
    """Whether another photo of the same name, but not a raw file, lies beside a photo."""
    suffix = _suffix(path)
    if suffix.lower() in RAW_WITH_SIDECAR_SUFFIXES:
        return False
    others = PHOTO_SUFFIXES - {suffix.lower()}
    stem = path[: -len(suffix)]
    return any(os.path.lexists(stem + case) for each in others for case in (each, each.upper()))
