"""Which pieces are left to embed, and under which names their shards are written.

The folder of the shards holds a small file, PLAN, with the model and the options. What is done, the shards themselves
say: each names the archive that it was made from, or has the paths of its photo files. So the next run embeds only the
rest, and a shard that somebody deletes is made again.
"""

import json
import re
from collections.abc import Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from searcher.errors import InvalidInput
from searcher.models import Model
from searcher.scale.columns import image_column, name_column
from searcher.scale.files import first_line, folder_at, location, shown, unwritable, write_whole
from searcher.scale.pieces import Archive, FileAt, Files, Piece, RowGroups, Stamp, Tar, is_tar
from searcher.scale.reading import SourceError, open_archive
from searcher.scale.shards import Facts, read_said, shards_in
from searcher.scale.sources import Found

PLAN = "_searcher.json"  # pyarrow and Spark pass over names that begin with _
FORMAT = 1
AT_ONCE = 16  # files that are looked at, at the same time: most of the time is waiting for a server
_NAME = re.compile(r"part-(\d+)\.parquet")


@dataclass(frozen=True, slots=True)
class Job:
    """A piece, and the name of its shard."""

    name: str
    piece: Piece


@dataclass(slots=True)
class Done:
    """What earlier runs have embedded.

    shards: how many there are. numbers: those in their names. files: photo files. archives: by their path, the row
    groups that were embedded (0 of a tar file).
    """

    shards: int = 0
    numbers: set[int] = field(default_factory=set)
    files: dict[bytes, Stamp] = field(default_factory=dict)
    archives: dict[str, dict[int, Stamp]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """The content of PLAN. sources: all that were ever named."""

    facts: Facts
    thumbnails: bool
    sources: tuple[str, ...]

    def as_json(self) -> str:
        """The file. Passwords and options of URIs are left out."""
        content = {"format": FORMAT, "model": asdict(self.facts), "thumbnails": self.thumbnails}
        return json.dumps(content | {"sources": [shown(source) for source in self.sources]}, indent=2) + "\n"


def read_plan(out: str) -> Plan | None:
    """The plan of a folder, None if it has none. Raises InvalidInput if it is damaged."""
    files, folder = folder_at(out)
    where = f"{folder}/{PLAN}"
    try:
        if files.get_file_info(where).type == pafs.FileType.NotFound:
            return None
        with files.open_input_stream(where) as file:
            found: dict[str, Any] = json.loads(file.read())
        if found["format"] > FORMAT:
            raise InvalidInput(f"{shown(out)} was written by a newer version of searcher; upgrade searcher")
        return Plan(Facts(**found["model"]), bool(found["thumbnails"]), tuple(found["sources"]))
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{shown(out)}/{PLAN} is damaged: delete it, or name another folder") from error
    except OSError as error:
        raise InvalidInput(f"{shown(out)} cannot be read: {first_line(error)}") from error


def write_plan(out: str, plan: Plan) -> None:
    """Write the plan of a folder, which is made if it does not exist. Raises SearcherError."""
    try:
        files, folder = location(out)
        files.create_dir(folder, recursive=True)
        write_whole(files, f"{folder}/{PLAN}", lambda file: file.write(plan.as_json().encode()))
    except (OSError, ValueError) as error:
        raise unwritable(out, error) from error


def check_same(out: str, plan: Plan, model: Model, thumbnails: bool) -> None:
    """Raise InvalidInput if a folder was begun with another model or other options."""
    where, instead = f"{shown(out)}/{PLAN} says that the shards are", "or name another folder"
    if plan.facts.digest != model.digest:
        raise InvalidInput(f"{where} of the model {plan.facts.model}, not of {model.name}: omit --model, {instead}")
    if plan.thumbnails != thumbnails:
        has, do = ("with", "add") if plan.thumbnails else ("without", "omit")
        raise InvalidInput(f"{where} {has} thumbnails: {do} --thumbnails, {instead}")


def read_done(out: str, facts: Facts) -> Done:
    """What the shards in a folder cover. Raises InvalidInput for one that is damaged or of another model."""
    files, folder = location(out)
    paths = shards_in(files, folder)
    done = Done(len(paths))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for path, said, photos in pool.map(lambda path: _covered(files, path, facts), paths):
            named = _NAME.fullmatch(path.rpartition("/")[2])
            if named:
                done.numbers.add(int(named[1]))
            done.files.update(photos)
            if said["kind"] != "files":
                groups = range(said.get("first", 0), said.get("end", 1))
                stamp = (said["size"], said["mtime_ns"])
                done.archives.setdefault(said["path"], {}).update(dict.fromkeys(groups, stamp))
    return done


def _covered(files: pafs.FileSystem, path: str, facts: Facts) -> tuple[str, dict[str, Any], list[tuple[bytes, Stamp]]]:
    found, said = read_said(files, path)
    if (found.digest, found.precision) != (facts.digest, facts.precision):
        raise InvalidInput(f"{path} is a shard of the model {found.model} in {found.precision}: move it away")
    try:
        if said["kind"] != "files":
            return path, said, []
        columns = pq.read_table(path, columns=["path", "path_bytes", "size", "mtime_ns"], filesystem=files)
    except (KeyError, ValueError, OSError) as error:
        raise InvalidInput(f"{path} is damaged: delete it, and the next run makes it again") from error
    texts, raw, sizes, times = (column.to_pylist() for column in columns.columns)
    keys = (text.encode() if name is None else name for text, name in zip(texts, raw, strict=True))
    return path, said, list(zip(keys, zip(sizes, times, strict=True), strict=True))


def jobs(found: Found, done: Done, photos_a_shard: int) -> list[Job]:
    """What is left to do. Adds notices to `found` about what has changed since it was embedded, or cannot be read.

    Raises InvalidInput if none of the archives can be read, and there is nothing else.
    """
    left_out: list[str] = []
    numbers = (number for number in count() if number not in done.numbers)
    names = (f"part-{number:05d}.parquet" for number in numbers)
    changed: list[str] = []
    pieces = [
        *_of_files(found, done, photos_a_shard, changed),
        *_of_archives(found, done, photos_a_shard, changed, left_out),
    ]
    if left_out and not pieces and not done.shards:
        raise InvalidInput(left_out[0])
    found.notices += left_out
    if changed:
        what = f"{changed[0]} has" if len(changed) == 1 else f"{changed[0]} and {len(changed) - 1:,} more have"
        what += " changed since it was embedded; to embed it again, delete the shard that has its rows"
        found.notices.append(what)
    return [Job(next(names), piece) for piece in pieces]


def _of_files(found: Found, done: Done, photos_a_shard: int, changed: list[str]) -> Iterator[Piece]:
    for source, files in found.photos.items():
        new = []
        for file in files:
            stamp = done.files.get(file.path)
            if stamp is None:
                new.append(file)
            elif stamp != file.stamp:
                changed.append(file.text)
        for start in range(0, len(new), photos_a_shard):
            yield Files(source, tuple(new[start : start + photos_a_shard]))


def _of_archives(
    found: Found, done: Done, photos_a_shard: int, changed: list[str], left_out: list[str]
) -> Iterator[Piece]:
    def cut(item: tuple[str, FileAt]) -> Sequence[Archive] | str:
        source, file = item
        embedded = done.archives.get(file.text, {})
        if any(stamp != file.stamp for stamp in embedded.values()):
            changed.append(file.text)
            return []
        if is_tar(file.path):
            return [] if embedded else [Tar(source, file)]
        return _row_groups(source, file, embedded, photos_a_shard)

    listed = [(source, file) for source, files in found.archives.items() for file in files]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for pieces in pool.map(cut, listed):
            if isinstance(pieces, str):
                left_out.append(pieces)
            else:
                yield from pieces


def _row_groups(source: str, file: FileAt, embedded: Container[int], photos_a_shard: int) -> Sequence[RowGroups] | str:
    """The row groups of a Parquet file that are not embedded yet, in parts of about `photos_a_shard` rows.

    A text says why the file cannot be used.
    """
    try:
        with open_archive(source, file) as stream, pq.ParquetFile(stream) as table:
            schema, metadata = table.schema_arrow, table.metadata
            image = image_column(schema)
            if image is None:
                columns = ", ".join(schema.names)[:200]
                return f"{file.text} has no column of image files, and is left out; its columns are: {columns}"
            name = name_column(schema, image)
            sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    except (SourceError, pa.ArrowException, OSError, ValueError) as error:
        return f"{file.text} is left out: {first_line(error)}"
    pieces: list[RowGroups] = []
    row, rows, groups = 0, 0, list[int]()  # row: where the part begins; rows, groups: what is in it
    for group, size in enumerate([*sizes, 0]):
        is_left = group < len(sizes) and group not in embedded
        if groups and (not is_left or rows >= photos_a_shard):
            pieces.append(RowGroups(source, file, groups[0], groups[-1] + 1, row, rows, image, name))
            row, rows, groups = row + rows, 0, []
        if is_left:
            groups.append(group)
            rows += size
        else:
            row += size
    return pieces
