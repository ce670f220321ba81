"""The part of Library that deals with labels: zero-shot, taught, and given by hand."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from searcher.catalog.rows import LabelCount, Photo
from searcher.errors import NotFound
from searcher.filters import EVERYTHING, Filter
from searcher.library.core import LibraryCore
from searcher.progress import SILENT, Progress

if TYPE_CHECKING:
    from searcher.models.encoder import DualEncoder
    from searcher.tagger.by_hand import TagEdit
    from searcher.tagger.classify import Classified
    from searcher.tagger.context import Context
    from searcher.tagger.links import LinkReport
    from searcher.tagger.question import Question
    from searcher.tagger.run import TagReport
    from searcher.tagger.sidecars import SidecarReport


class LabelMethods(LibraryCore):
    """Labels and tags of a library."""

    def labels(self) -> list[str]:
        """All labels, by name."""
        with self._catalog.read() as view:
            return sorted(label.name for label in view.tags.labels().values())

    def label_counts(self, filter: Filter = EVERYTHING) -> list[LabelCount]:
        """How many photos have each label, by source, most first. With `filter`, only photos that meet it count, and
        only tags from its sources.
        """
        with self._catalog.read() as view:
            return view.tags.counts(filter)

    @staticmethod
    def ask(
        labels: Sequence[str] | str, *, one: bool = False, top: int | None = None, min_relevance: float | None = None
    ) -> "Question":
        """The question that `tag`, `preview_tags` and `classify` take.

        labels: names, or what `searcher tag --labels` takes. one: which label fits best, instead of which apply. top:
        the most labels per photo. min_relevance: without `one`, from which relevance on a photo gets a label (default:
        0.5). Raises InvalidInput.
        """
        from searcher.tagger.question import ask

        return ask(labels, one, top, min_relevance)

    def tag(
        self,
        labels: "Sequence[str] | str | Question",
        *,
        one: bool = False,
        top: int | None = None,
        progress: Progress = SILENT,
    ) -> "TagReport":
        """Ask every photo that was not asked yet which labels apply, or with `one` which label fits best.

        labels, one, top: see `ask`. `progress` gets a notice if the answers may be poor. `search` with a Filter finds
        the photos.
        """
        from searcher.tagger.question import Question
        from searcher.tagger.remarks import remark
        from searcher.tagger.run import tag

        question = labels if isinstance(labels, Question) else self.ask(labels, one=one, top=top)
        context = self._context()
        remark(question, context.model, progress)
        return tag(context, question, progress)

    def tag_new(self, progress: Progress = SILENT) -> int:
        """Put every question that was put to the library before to the photos that came since. Returns how many."""
        from searcher.tagger.run import tag_new

        return tag_new(self._context(), progress)

    def preview_tags(self, question: "Question", progress: Progress = SILENT) -> Iterator[Photo]:
        """Every photo with the labels that `tag` would give it. Nothing is stored."""
        from searcher.tagger.remarks import remark
        from searcher.tagger.run import preview

        context = self._context()
        remark(question, context.model, progress)
        return preview(context, question, progress)

    def tagged(self, names: Sequence[str]) -> Iterator[Photo]:
        """Every photo, by id, with those of the labels `names` that runs or a person gave it."""
        from searcher.tagger.run import tagged_photos

        return tagged_photos(self._catalog, names)

    def untag(self, names: Sequence[str] | None = None, progress: Progress = SILENT, *, dry_run: bool = False) -> int:
        """Remove what `tag` and `teach` gave for the labels `names` (None: for all). What a person gave stays.

        Returns how many tags were removed, or would be with `dry_run`. Raises NotFound for a name that is not a label.
        """
        from searcher.tagger.question import label_name
        from searcher.tagger.run import clear

        wanted = None if names is None else [label_name(name) for name in names]
        return clear(self._catalog, wanted, progress, dry_run=dry_run)

    def add_tag(self, label: str, photos: Iterable[int | str | Path], progress: Progress = SILENT) -> int:
        """Give photos a label by hand: see `edit_tags`. Returns how many did not have it by hand."""
        return sum(self.edit_tags(photos, add=[label], progress=progress).added.values())

    def remove_tag(self, label: str, photos: Iterable[int | str | Path], progress: Progress = SILENT) -> int:
        """Take a label away from photos by hand: see `edit_tags`. Returns how many had it."""
        return sum(self.edit_tags(photos, remove=[label], progress=progress).removed.values())

    def edit_tags(
        self,
        photos: Iterable[int | str | Path],
        *,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
        dry_run: bool = False,
        progress: Progress = SILENT,
    ) -> "TagEdit":
        """Give photos the labels `add` by hand, and take the labels `remove` away, whatever gave them. All or nothing.

        photos: paths, or ids of images; unknown ids are left out. All copies of a photo get and lose a label together.
        Later runs do not give a removed label to these photos again, until it is added by hand.

        Raises NotFound for a path that is not in the library and for an unknown label to remove, InvalidInput for an
        invalid name.
        """
        from searcher.indexer.places import images_at
        from searcher.tagger.by_hand import edit_tags
        from searcher.tagger.question import label_name

        added, removed = ([*dict.fromkeys(map(label_name, names))] for names in (add, remove))
        named = [photos] if isinstance(photos, str | Path) else list(photos)
        ids = [photo for photo in named if isinstance(photo, int)]
        with self._catalog.read() as view:
            ids += images_at(view, [photo for photo in named if not isinstance(photo, int)])
        return edit_tags(self._catalog, ids, added, removed, dry_run=dry_run, progress=progress)

    def teach(
        self,
        name: str,
        examples: Sequence[int | str | Path],
        against: Sequence[int | str | Path] = (),
        progress: Progress = SILENT,
    ) -> tuple[int, int]:
        """Teach the label `name` with a few photos that show it, and photos `against` it. Replaces its examples.

        A photo is a file, or the id of an image of the library. Returns how many of each are kept. `tag` then gives the
        label. Raises NotFound for an unknown id, SearcherError for a photo that cannot be read.
        """
        from searcher.tagger.teach import teach

        files = self._paths([*examples, *against])
        shown, others = files[: len(examples)], files[len(examples) :]
        return teach(self._context(), name, shown, others, progress)

    def _paths(self, photos: Sequence[int | str | Path]) -> list[Path]:
        """Files as they are named; for the id of an image its file, or that of a copy if only that is there."""
        ids = [photo for photo in photos if isinstance(photo, int)]
        with self._catalog.read() as view:
            images = view.photos.with_copies(ids) if ids else []
        by_id = {image.id: image for image in images}
        if missing := [id for id in ids if id not in by_id]:
            raise NotFound(f"no photo has the id {missing[0]}")

        def path(photo: int | str | Path) -> Path:
            if not isinstance(photo, int):
                return Path(photo)
            own = by_id[photo]
            copies = [image.path for image in images if image.content_id == own.content_id and image.id != photo]
            return Path(next((path for path in (own.path, *copies) if os.path.isfile(path)), own.path))  # noqa: PTH113

        return [path(photo) for photo in photos]

    def forget_label(self, name: str, progress: Progress = SILENT) -> None:
        """Forget how a label was taught. The tags that it gave stay until `untag`. NotFound if it was never taught."""
        from searcher.tagger.teach import forget

        forget(self._catalog, name, progress)

    def classify(
        self,
        question: "Question",
        paths: Iterable[Path],
        *,
        model: str | Path | None = None,
        progress: Progress = SILENT,
    ) -> "Iterator[Classified]":
        """The labels of loose image files, in their order.

        The model of the library answers, and labels that it was taught can be asked. With `model`, that one answers,
        and no taught labels. Before anything is indexed, it is the model that `Library.open` was given, or the default
        one. `progress` gets a notice if the answers may be poor.
        """
        from searcher.tagger.classify import classify
        from searcher.tagger.remarks import remark
        from searcher.tagger.taught import taught_labels

        taught = {}
        if model is not None:
            from searcher.models import Model

            encoder: DualEncoder = Model.open(model)
        elif self.has_model:
            context = self._context()
            encoder, taught = context.model, taught_labels(context, question)
        else:
            encoder = self.model
        remark(question, encoder, progress)
        return classify(encoder, question, paths, taught)

    def write_sidecars(
        self,
        photos: Iterable[Photo],
        parents: Mapping[str, str | None],
        *,
        adobe: bool = False,
        insist: bool = False,
        dry_run: bool = False,
        progress: Progress = SILENT,
    ) -> "SidecarReport":
        """Write the tags of `photos` into XMP sidecars: see `tagger.sidecars.write_sidecars`."""
        from searcher.tagger.sidecars import write_sidecars

        return write_sidecars(
            self._catalog, photos, parents, adobe=adobe, insist=insist, dry_run=dry_run, progress=progress
        )

    def write_labels(self, image_ids: Sequence[int], progress: Progress = SILENT) -> "SidecarReport":
        """Write all labels of these images and of their copies, from runs and from a person, into XMP sidecars."""
        from searcher.tagger.run import labelled_photos

        def photos() -> Iterator[Photo]:
            progress.advance(0, len(image_ids))
            for done, photo in enumerate(labelled_photos(self._catalog, image_ids), 1):
                yield photo
                progress.advance(min(done, len(image_ids)), len(image_ids))

        return self.write_sidecars(photos(), dict.fromkeys(self.labels()), progress=progress)

    def link_photos(
        self, photos: Iterable[Photo], names: Sequence[str], folder: Path, *, dry_run: bool = False
    ) -> "LinkReport":
        """Sort links to `photos` into `folder`/<label>/: see `tagger.links.link_photos`."""
        from searcher.tagger.links import link_photos

        return link_photos(photos, names, folder, dry_run)

    def _context(self) -> "Context":
        from searcher.tagger.context import Context

        row = self._model_row()
        return Context(self._catalog, self._encoders.of(row), row)
