"""A backup of what a person has typed: tags by hand, taught labels, and the indexed folders with their options.

Everything else in a library can be made again from the photos.
"""

import base64
import json
import os
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from searcher.catalog import Catalog
from searcher.catalog.folders import prefix_in
from searcher.catalog.rows import UNREAD, LabelExample, Place, TypedTag
from searcher.errors import InvalidInput, NotFound, SearcherError
from searcher.filters.uri import is_uri
from searcher.photos.rules import FolderOptions, OptionChange
from searcher.progress import SILENT, Progress
from searcher.tagger.question import label_name

if TYPE_CHECKING:
    from searcher.catalog.write.transaction import Transaction

KIND, VERSION = "backup of a searcher library", 1
NOT_READ_YET = "restored from a backup and not read yet: run `searcher index`"
_NOT_UTF8 = re.compile("[\ud800-\udfff]")  # bytes of file names; JSON can only hold them escaped


class BackupReport(NamedTuple):
    """What was written to a backup, or read from it. waiting: tags whose photos are not in the library yet. labels: how
    many taught labels. notices: lines for the user.
    """

    roots: int
    tags: int
    waiting: int
    labels: int
    notices: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The report as `--json` prints it."""
        return {"roots": self.roots, "tags": self.tags, "waiting": self.waiting, "taught": self.labels}


class _Folder(NamedTuple):
    path: bytes
    whole: bool
    options: FolderOptions
    files: tuple[bytes, ...]


class _Content(NamedTuple):
    folders: list[_Folder]
    parents: dict[str, str | None]
    tags: list[TypedTag]
    examples: list[LabelExample]


def write_backup(catalog: Catalog, file: Path) -> BackupReport:
    """Write what a person has typed to `file`. Replaces an earlier backup, and no other file.

    Raises InvalidInput for a file that is no backup.
    """
    if file.exists() and not _is_backup(file):
        raise InvalidInput(f"{file} exists and is no backup of searcher: name another file")
    with catalog.read() as view:
        roots, tags, examples = view.files.roots(), view.backup.typed_tags(), view.backup.examples()
        labels, waiting = view.tags.labels(), view.backup.waiting()
        single = {root.id: sorted(view.files.known(root.id)) for root in roots if not root.whole}
    names = {tag.label for tag in tags} | {example.label for example in examples}
    parents: dict[str, str | None] = {}
    by_name = {row.name: row for row in labels.values()}
    while names:
        row = by_name[names.pop()]
        parent = None if row.parent is None else labels[row.parent].name
        parents[row.name] = parent
        names |= {parent} - parents.keys() if parent is not None else set()
    document = {
        "kind": KIND,
        "version": VERSION,
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "folders": [
            {"path": os.fsdecode(root.path), "whole": root.whole, "options": root.options.as_dict()}
            | ({} if root.whole else {"files": [os.fsdecode(name) for name in single[root.id]]})
            for root in roots
        ],
        "labels": [{"label": name, "parent": parents[name]} for name in sorted(parents)],
        "photos": [
            {
                "path": os.fsdecode(path),
                "digest": digest.hex(),
                "tags": [{"label": tag.label, "given": tag.probability != 0, "at": tag.tagged_at} for tag in of_one],
            }
            for (path, digest), of_one in groupby(tags, key=lambda tag: (tag.path, tag.digest))
        ],
        "taught": [
            {
                "label": example.label,
                "digest": example.digest.hex(),
                "shows": example.positive,
                "picture": base64.b64encode(example.picture).decode(),
            }
            for example in examples
        ],
    }
    text = json.dumps(document, ensure_ascii=False, indent=1)
    _write(file, _NOT_UTF8.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode())
    return BackupReport(len(roots), len(tags), waiting, len({example.label for example in examples}))


def restore_backup(catalog: Catalog, file: Path, progress: Progress = SILENT) -> BackupReport:
    """Add what is in a backup to the library. What the library has already stays as it is.

    Raises NotFound, or InvalidInput if the file is no backup; then nothing is changed.
    """
    content = _read(file)
    notices: list[str] = []
    with catalog.write(progress) as change:
        added = _add_folders(change, content.folders, notices)
        label_ids = change.tags.add_labels(_new_parents(change, content.parents))
        change.backup.add_waiting(content.tags, label_ids)
        change.backup.bind_waiting()
        change.backup.add_examples(content.examples, label_ids)
        waiting = change.view.backup.waiting()
    labels = len({example.label for example in content.examples})
    return BackupReport(added, len(content.tags), waiting, labels, tuple(notices))


def _new_parents(change: "Transaction", parents: Mapping[str, str | None]) -> dict[str, str | None]:
    """The parents of labels that have none yet. Raises InvalidInput if a label would be below itself."""
    rows = change.view.tags.labels()
    there = {row.name: rows[row.parent].name for row in rows.values() if row.parent is not None}
    merged = {**parents, **there}
    for name in parents:
        above, seen = merged.get(name), {name}
        while above is not None:
            if above in seen:
                raise InvalidInput(f"the label {name!r} would be below itself")
            seen.add(above)
            above = merged.get(above)
    return {name: None if name in there else parent for name, parent in parents.items()}


def _add_folders(change: "Transaction", folders: Iterable[_Folder], notices: list[str]) -> int:
    known = [root.path for root in change.view.files.roots()]
    added = 0
    for folder in folders:
        around = [path for path in known if prefix_in(path, folder.path) is not None]
        around += [path for path in known if prefix_in(folder.path, path) is not None]
        if folder.path in known:
            continue
        if around:
            notices.append(
                f"{os.fsdecode(folder.path)} was not restored, because {os.fsdecode(around[0])} is indexed already"
            )
            continue
        root = change.files.add_root(folder.path, folder.whole)
        change.files.set_options(root.id, folder.options)
        for name in folder.files:
            change.files.put_image(Place(root.id, name, UNREAD, UNREAD), None, NOT_READ_YET)
        added += 1
    return added


def _is_backup(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return f'"kind": "{KIND}"'.encode() in opened.read(200)
    except OSError:
        return False


def _write(file: Path, data: bytes) -> None:
    """Write a file so that it is either complete or as it was before."""
    partial = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        partial.replace(file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise SearcherError(f"cannot write {file}: {error.strerror or error}") from error


def _read(file: Path) -> _Content:
    try:
        document = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise NotFound(f"no such file: {file}") from None
    except OSError as error:
        raise InvalidInput(f"cannot read {file}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{file} is no backup of searcher: it is not JSON ({error})") from error
    if not isinstance(document, dict) or document.get("kind") != KIND or not isinstance(document.get("version"), int):
        raise InvalidInput(f"{file} is no backup of searcher")
    if document["version"] > VERSION:
        raise InvalidInput(f"{file} was written by a newer searcher: upgrade searcher")
    try:
        return _content(document)
    except SearcherError as error:
        raise InvalidInput(f"{file} is damaged: {error}") from error
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InvalidInput(f"{file} is damaged: {type(error).__name__}: {error}") from error


def _content(document: Mapping[str, Any]) -> _Content:
    parents = {
        label_name(row["label"]): None if row["parent"] is None else label_name(row["parent"])
        for row in document["labels"]
    }
    tags = [
        TypedTag(
            _path(photo["path"]),
            _digest(photo["digest"]),
            label_name(tag["label"]),
            None if tag["given"] else 0.0,
            datetime.fromisoformat(tag["at"]).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        for photo in document["photos"]
        for tag in photo["tags"]
    ]
    examples = [
        LabelExample(
            label_name(row["label"]), _digest(row["digest"]), bool(row["shows"]), _picture(row["label"], row["picture"])
        )
        for row in document["taught"]
    ]
    for name in {tag.label for tag in tags} | {example.label for example in examples}:
        parents.setdefault(name, None)
    return _Content([_folder(row) for row in document["folders"]], parents, tags, examples)


def _folder(row: Mapping[str, Any]) -> _Folder:
    options = FolderOptions.from_dict(row["options"])
    checked = OptionChange(options.exclude, True, bool(options.hidden), bool(options.follow_links), options.raw)
    files = tuple(os.fsencode(name) for name in row.get("files", ()))
    if any(not name or b".." in name.split(b"/") or name.startswith(b"/") for name in files):
        raise InvalidInput("a file of a folder is outside of it")
    return _Folder(_path(row["path"]), bool(row["whole"]), checked.applied_to(FolderOptions()), files)


def _path(text: str) -> bytes:
    path = os.fsencode(text)
    if is_uri(path) and b"\0" not in path:  # of a photo that is not on the machine
        return path
    if not os.path.isabs(path) or b"\0" in path:  # noqa: PTH117
        raise InvalidInput(f"{text!r} is no absolute path")
    return os.path.normpath(path)


def _digest(text: str) -> bytes:
    digest = bytes.fromhex(text)
    if len(digest) not in (0, 16):
        raise InvalidInput(f"{text!r} is no digest")
    return digest


def _picture(label: str, text: str) -> bytes:
    from searcher.photos.decode import PhotoError, decode_guarded

    picture = base64.b64decode(text, validate=True)
    try:
        decode_guarded(picture)
    except PhotoError as error:
        raise InvalidInput(f"an example of {label!r}: {error}") from error
    return picture
