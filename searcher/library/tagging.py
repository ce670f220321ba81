"""The part of Library that gives labels to the photos of a library on this machine."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from searcher.catalog.rows import Photo
from searcher.errors import NotFound
from searcher.library.local import LocalCore
from searcher.progress import SILENT, Progress

if TYPE_CHECKING:
    from searcher.tagger.by_hand import TagEdit
    from searcher.tagger.context import Context
    from searcher.tagger.question import Question
    from searcher.tagger.run import TagReport
    from searcher.tagger.sidecars import SidecarReport
    from searcher.tagger.taught import Taught


class LocalTagging(LocalCore):
    """What `LabelMethods` asks of a library on this machine."""

    def _tag(self, question: "Question", progress: Progress) -> "TagReport":
        from searcher.tagger.run import tag

        return tag(self._context(), question, progress)

    def _preview_tags(self, question: "Question", progress: Progress) -> Iterator[Photo]:
        from searcher.tagger.run import preview

        return preview(self._context(), question, progress)

    def _untag(self, names: Sequence[str] | None, progress: Progress, dry_run: bool) -> int:
        from searcher.tagger.run import clear

        return clear(self._catalog, names, progress, dry_run=dry_run)

    def _images_at(self, paths: Sequence[str | Path]) -> list[int]:
        from searcher.indexer.places import images_at

        with self._catalog.read() as view:
            return images_at(view, paths)

    def _edit_tags(
        self, image_ids: Sequence[int], add: Sequence[str], remove: Sequence[str], dry_run: bool, progress: Progress
    ) -> "TagEdit":
        from searcher.tagger.by_hand import edit_tags

        return edit_tags(self._catalog, image_ids, add, remove, dry_run=dry_run, progress=progress)

    def _taught(self, question: "Question") -> "Mapping[str, Taught]":
        from searcher.tagger.taught import taught_labels

        return taught_labels(self._context(), question) if self.has_model else {}

    def _context(self) -> "Context":
        from searcher.tagger.context import Context

        row = self._model_row()
        return Context(self._catalog, self._encoder(row), row)


class TeachMethods(LocalTagging):
    """Labels that are taught from a few photos, and labels in XMP sidecars."""

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
        images = self._records().with_copies(ids) if ids else []
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

    def taught_with(self, label: str) -> list[tuple[int, bool]]:
        """(image id, whether it shows the label) of those photos a label was taught with that are in the library."""
        with self._catalog.read() as view:
            return view.labels.taught_with(label)

    def forget_label(self, name: str, progress: Progress = SILENT) -> None:
        """Forget how a label was taught. The tags that it gave stay until `untag`. NotFound if it was never taught."""
        from searcher.tagger.teach import forget

        forget(self._catalog, name, progress)

    def tag_new(self, progress: Progress = SILENT) -> int:
        """Put every question that was put to the library before to the photos that came since. Returns how many."""
        from searcher.tagger.run import tag_new

        return tag_new(self._context(), progress)

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
        from searcher.catalog.tagged import labelled_photos

        def photos() -> Iterator[Photo]:
            progress.advance(0, len(image_ids))
            for done, photo in enumerate(labelled_photos(self._catalog, image_ids), 1):
                yield photo
                progress.advance(min(done, len(image_ids)), len(image_ids))

        labels = self._records().labels()
        return self.write_sidecars(photos(), dict.fromkeys(labels), progress=progress)
