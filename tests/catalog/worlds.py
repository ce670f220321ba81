"""Random catalogs and filters, and a search through all photos of one in Python."""

import fnmatch
import os
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from searcher.catalog import Catalog
from searcher.catalog.read.photos import Order
from searcher.catalog.rows import FILE, TAUGHT, USER, ZERO_SHOT, Content, ModelRow, Place
from searcher.filters import EVERYTHING, ORIENTATIONS, RAW_FORMATS, SOURCES, Filter, Near
from searcher.filters.near import EARTH_KM
from tests.catalog.filling import MODEL_FOLDER, content, vector
from tests.histogram_model import HistogramModel

DATES = (None, "2021-12-31T23:59:59", "2022-01-01T00:00:00", "2022-01-20T10:00:00+02:00", "2023-06-01T12:00:00")
MOMENTS = {
    "2021": datetime(2021, 1, 1),
    "2022": datetime(2022, 1, 1),
    "2022-01": datetime(2022, 1, 1),
    "2022-01-20": datetime(2022, 1, 20),
    "2021-12-31T23:59:59": datetime(2021, 12, 31, 23, 59, 59),
    "2022-01-20 10:01": datetime(2022, 1, 20, 10, 1),
    "2024-02-29": datetime(2024, 2, 29),
}
CAMERAS = (None, "Canon EOS 5D", "Apple iPhone 12", "ÉCLAIR 100%")
SPOTS = (None, (48.85, 2.35), (48.9, 2.4), (-17.0, 179.9), (-17.0, -179.9), (89.9, 10.0), (89.9, -170.0), (-90.0, 0.0))
FOLDERS = ("", "trips/", "trips/2020/", "trips2/", "Trips/")
SUFFIXES = (".jpg", ".JPG", "é.png", "é.png", "[1].png", "\udcff.png")
GLOBS = ("*", "*.jpg", "?-0*", "1-?.JPG", "*É.png", "*[1]*", "?-?.*", "*.p?g", "**-*1*", "1-0", "*\udcff*")
LABELS = ("animal", "dog", "poodle", "Rex", "house", "Straße")
ORDERS: tuple[Order, ...] = ("newest", "oldest", "probability")


@dataclass
class Photo:
    """One content: its date, whether it is embedded, and its tags."""

    taken_at: str | None
    copies: int
    embedded: bool
    results: dict[str, tuple[str, float]]  # label → source and probability
    by_hand: dict[tuple[int, str], bool]  # which copy was given (True) or refused (False) which label
    in_files: set[tuple[int, str]]  # which copy has which keyword
    size: tuple[int, int] = (40, 30)
    format: str = "PNG"
    camera: str | None = None
    spot: tuple[float, float] | None = None
    rating: int | None = None
    places: list[tuple[str, str]] = field(default_factory=list)  # folder and suffix of each copy
    id: int = 0
    embedding: int = 0


@dataclass
class World:
    """What a catalog should hold."""

    parents: dict[str, str | None]
    photos: list[Photo]
    model: ModelRow | None = field(default=None)

    def below(self, label: str) -> set[str]:
        found = {label} & self.parents.keys()
        while more := {name for name, parent in self.parents.items() if parent in found} - found:
            found |= more
        return found

    def tags(self, photo: Photo, filter: Filter) -> set[tuple[str, str, float]]:
        """(label, source, probability) of each tag that counts."""
        refused = {key for key, given in photo.by_hand.items() if not given}
        never = {name for _, name in refused}
        by_runs = {(name, *found) for name, found in photo.results.items() if name not in never}
        by_hand = {(name, USER, 1.0) for (_, name), given in photo.by_hand.items() if given}
        in_files = {(name, FILE, 1.0) for copy, name in photo.in_files - refused}
        return {tag for tag in by_runs | by_hand | in_files if not filter.sources or tag[1] in filter.sources}

    def matching(self, filter: Filter) -> list[tuple[Photo, float]]:
        """The photos that meet a filter, and the least probability of its tags."""
        wanted = [self.below(label) for label in filter.tags]
        unwanted = {name for label in filter.not_tags for name in self.below(label)}
        if filter.sources and not wanted:
            wanted = [set(self.parents)]
        matches = []
        for photo in self.photos:
            tags = self.tags(photo, filter)
            found = [max((p for name, _, p in tags if name in names), default=None) for names in wanted]
            sure = [p for p in found if p is not None]
            fits = meets(photo, filter) and any(self.meant(photo, filter))
            if fits and len(sure) == len(found) and not any(name in unwanted for name, *_ in tags):
                matches.append((photo, min(sure, default=1.0)))
        return matches

    def paths(self) -> list[str]:
        return [self.path(photo, copy) for photo in self.photos for copy in range(photo.copies)]

    def path(self, photo: Photo, copy: int) -> str:
        folder, suffix = photo.places[copy]
        return f"/photos/{folder}{next(n for n, other in enumerate(self.photos) if other is photo)}-{copy}{suffix}"

    def meant(self, photo: Photo, filter: Filter) -> list[bool]:
        """Of each copy whether it is where the filter asks for photos."""
        paths = [self.path(photo, copy) for copy in range(photo.copies)]
        inside = [not filter.folders or any(in_folder(path, folder) for folder in filter.folders) for path in paths]
        return [
            there and (filter.name is None or has_name(path, filter.name))
            for there, path in zip(inside, paths, strict=True)
        ]

    def lacks_a_folder(self, filter: Filter) -> bool:
        """Whether no photo is in one of the folders of a filter."""
        return any(not any(map(partial(in_folder, folder=folder), self.paths())) for folder in filter.folders)

    def counts(self, filter: Filter) -> Counter[tuple[str, str]]:
        counted: Counter[tuple[str, str]] = Counter()
        for photo, _ in self.matching(filter):
            counted.update({(label, source) for label, source, _ in self.tags(photo, filter)})
        return counted


def in_folder(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")


def has_name(path: str, pattern: str) -> bool:
    name, pattern = (unicodedata.normalize("NFC", text).lower() for text in (path.split("/")[-1], pattern))
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


def meets(photo: Photo, filter: Filter) -> bool:
    """Whether a photo meets the conditions that neither labels nor places of files are part of."""
    width, height = photo.size
    taken = None if photo.taken_at is None else datetime.fromisoformat(photo.taken_at).replace(tzinfo=None)
    formats = {name for format in filter.formats for name in (RAW_FORMATS if format == "RAW" else [format])}
    return (
        (filter.after is None or (taken is not None and taken >= MOMENTS[filter.after]))
        and (filter.before is None or (taken is not None and taken < MOMENTS[filter.before]))
        and (filter.camera is None or " ".join(filter.camera.split()).lower() in (photo.camera or "").lower())
        and (
            filter.near is None
            or (photo.spot is not None and angle(photo.spot, filter.near) * EARTH_KM <= filter.near.km)
        )
        and (filter.rating is None or (photo.rating or 0) >= filter.rating)
        and (filter.min_pixels is None or width * height >= filter.min_pixels)
        and filter.orientation in (None, "landscape" if width > height else "portrait" if width < height else "square")
        and (not formats or photo.format in formats)
    )


def angle(spot: tuple[float, float], near: Near) -> float:
    """The angle between two points on the earth, in radians, as that of two vectors."""
    latitudes, longitudes = np.radians([spot[0], near.latitude]), np.radians([spot[1], near.longitude])
    one, other = np.stack(
        [np.cos(latitudes) * np.cos(longitudes), np.cos(latitudes) * np.sin(longitudes), np.sin(latitudes)]
    ).T
    return float(2 * np.arcsin(min(1.0, float(np.linalg.norm(one - other)) / 2)))


@st.composite
def worlds(draw: st.DrawFn, least: int = 0) -> World:
    """Up to eight photos, and at least so many."""
    names = LABELS[: draw(st.integers(1, len(LABELS)))]
    parents = {
        name: draw(st.sampled_from([None, *names[:number]])) if number else None for number, name in enumerate(names)
    }
    label = st.sampled_from(names)
    result = st.tuples(st.sampled_from([ZERO_SHOT, TAUGHT]), st.floats(0, 1))

    @st.composite
    def photos(draw: st.DrawFn) -> Photo:
        copies = draw(st.integers(1, 2))
        one_copy = st.tuples(st.integers(0, copies - 1), label)
        return Photo(
            taken_at=draw(st.sampled_from(DATES)),
            copies=copies,
            embedded=draw(st.integers(0, 5)) > 0,
            results=draw(st.dictionaries(label, result, max_size=4)),
            by_hand=draw(st.dictionaries(one_copy, st.booleans(), max_size=3)),
            in_files=draw(st.sets(one_copy, max_size=2)),
            size=draw(st.sampled_from([(40, 30), (30, 40), (30, 30), (41, 30)])),
            format=draw(st.sampled_from(["PNG", "JPEG", "JPEG 2000", "NEF", "RAW"])),
            camera=draw(st.sampled_from(CAMERAS)),
            spot=draw(st.sampled_from(SPOTS)),
            rating=draw(st.sampled_from([None, -1, 0, 3, 5])),
            places=draw(
                st.lists(st.tuples(st.sampled_from(FOLDERS), st.sampled_from(SUFFIXES)), min_size=2, max_size=2)
            ),
        )

    return World(parents, draw(st.lists(photos(), min_size=least, max_size=8)))


some_labels = st.lists(st.sampled_from([*LABELS, "no such label"]), max_size=3).map(tuple)
some_sources = st.one_of(st.just(()), st.lists(st.sampled_from(SOURCES), unique=True).map(tuple))
places = st.builds(
    Near,
    st.sampled_from([48.86, -17.0, 89.95, -89.0, 0.0]) | st.floats(-90, 90),
    st.sampled_from([2.35, 180.0, -179.95, 60.0]) | st.floats(-180, 180),
    st.sampled_from([0.5, 25.0, 300.0, 9000.0, 20100.0]),
)
no_labels = st.builds(Filter)
by_labels = st.builds(Filter, some_labels, st.one_of(st.just(()), some_labels), some_sources)


@st.composite
def conditions(draw: st.DrawFn, most: int = 3) -> dict[str, object]:
    """Up to `most` conditions that are not about labels."""
    choices: dict[str, st.SearchStrategy[object]] = {
        "after": st.sampled_from(sorted(MOMENTS)),
        "before": st.sampled_from(sorted(MOMENTS)),
        "camera": st.sampled_from(["canon", "IPHONE 1", "éclair", "0%", "5D ", "_"]),
        "near": places,
        "folders": st.lists(
            st.sampled_from(["/photos", "/photos/trips", "/photos/trips/2020/", "/photos/trips2", "/"]), max_size=2
        ).map(tuple),
        "name": st.sampled_from(GLOBS),
        "rating": st.integers(1, 5),
        "min_pixels": st.sampled_from([900, 1200, 1201, 10**9]),
        "orientation": st.sampled_from(ORIENTATIONS),
        "formats": st.sampled_from([("png",), ("JPG", "jp2"), ("raw",), ("nef",)]),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(choices)), unique=True, max_size=most))
    found = {name: draw(choices[name]) for name in chosen}
    if "after" in found and "before" in found:
        moments = sorted((found["after"], found["before"]), key=lambda text: MOMENTS[str(text)])
        found["after"], found["before"] = moments
        if MOMENTS[str(moments[0])] == MOMENTS[str(moments[1])]:
            del found["before"]
    return found


filters = st.builds(lambda labels, others: replace(labels, **others), no_labels | by_labels, conditions())
one_condition = st.builds(lambda others: replace(EVERYTHING, **others), conditions(1)) | st.builds(
    lambda label: Filter(tags=(label,)), st.sampled_from(LABELS)
)


def content_of(number: int, photo: Photo) -> Content:
    latitude, longitude = photo.spot or (None, None)
    return content(number)._replace(
        width=photo.size[0],
        height=photo.size[1],
        format=photo.format,
        taken_at=photo.taken_at,
        camera=photo.camera,
        latitude=latitude,
        longitude=longitude,
        rating=photo.rating,
    )


@contextmanager
def catalog_of(world: World, vectors: np.ndarray | None = None) -> Iterator[Catalog]:
    """A new catalog that holds what `world` says.

    vectors: the embeddings of its photos (n, dim). Without them, each photo gets `vector` of its number.
    """
    with tempfile.TemporaryDirectory() as folder, closing(Catalog(Path(folder))) as catalog:
        with catalog.write() as change:
            root = change.files.add_root(b"/photos", whole=True)
            model_id = change.models.add(HistogramModel(), MODEL_FOLDER)
            change.models.use(model_id)
            labels = change.tags.add_labels(world.parents)
            for number, photo in enumerate(world.photos):
                photo.id = change.files.add_content(content_of(number, photo))
                for copy in range(photo.copies):
                    place = Place(root.id, os.fsencode(world.path(photo, copy)[len("/photos/") :]), 100, 200)
                    change.files.put_image(place, photo.id)
                    there = change.view.files.image_at(root.id, place.relpath)
                    assert there is not None
                    for label in [label for which, label in photo.in_files if which == copy]:
                        sql = "INSERT INTO tags (image_id, label_id, source, tagged_at) VALUES (?, ?, ?, '')"
                        change.tags._execute(sql, there.id, labels[label], FILE)
                    for (_, label), given in [item for item in photo.by_hand.items() if item[0][0] == copy]:
                        decide = change.tags.add_user_tag if given else change.tags.refuse_tag
                        assert decide([there.id], labels[label]) == 1
                if photo.embedded:
                    row = vector(number) if vectors is None else vectors[number]
                    change.embeddings.add(photo.id, model_id, "float32", row)
            results = [(p.id, labels[name], *found) for p in world.photos for name, found in p.results.items()]
            change.tags.put_results([photo.id for photo in world.photos], labels.values(), results, model_id)
        with catalog.read() as view:
            world.model = view.models.current()
            embedded = [photo for photo in world.photos if photo.embedded]
            for photo, embedding in zip(embedded, view.embeddings.existing(range(1000)), strict=True):
                photo.embedding = embedding
        yield catalog


def sort_key(order: Order, photo: Photo, probability: float) -> tuple[object, ...]:
    if order == "probability":
        return -probability, photo.embedding
    date = photo.taken_at or ""
    if order == "oldest":
        return photo.taken_at is None, date, photo.embedding
    # newest first: texts have no minus
    return photo.taken_at is None, tuple(-ord(letter) for letter in date), -photo.embedding
