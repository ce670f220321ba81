"""Is a library sound? Everything that can be verified is verified, and what derives can be made again."""

from dataclasses import replace

from searcher.catalog import Catalog
from searcher.catalog.read.view import View
from searcher.library.reports import CheckReport
from searcher.progress import SILENT, Progress
from searcher.vectors.store import VectorStore

NORM_TOLERANCE = 0.01  # rounding to float16 changes the length of a unit vector by far less
_NO_EMBEDDING = "no embedding"


def find_problems(catalog: Catalog, store: VectorStore) -> CheckReport:
    """What is wrong with the embeddings and the vector file of a catalog that is sound in itself."""
    problems = []
    with catalog.read() as view:
        if without := view.embeddings.images_without(store.model.id):
            problems.append(f"catalog: {_count(without, 'photo has', 'photos have')} {_NO_EMBEDDING}")
        if wrong := len(bad_embeddings(view, store)):
            problems.append(f"catalog: {_count(wrong, 'embedding is', 'embeddings are')} damaged")
        problems += store.problems(view)
    return CheckReport(tuple(problems), advice="Repair it with: searcher check --repair" if problems else None)


def _count(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def bad_embeddings(view: View, store: VectorStore) -> list[int]:
    """The ids of the embeddings that have a wrong length or are not unit vectors."""
    import numpy as np

    bad = view.embeddings.of_wrong_length()
    for ids, rows in view.embeddings.chunks(store.model, skip_wrong_length=True):
        norms = np.linalg.norm(rows.astype(np.float32), axis=1)
        bad += ids[~(np.abs(norms - 1) <= NORM_TOLERANCE)].tolist()  # written so that NaN is bad, too
    return bad


def repair(catalog: Catalog, store: VectorStore, found: CheckReport, progress: Progress = SILENT) -> CheckReport:
    """Make again what can be derived: the vector file. Photos without a good embedding are read by the next run.

    found: what was wrong before. Returns what is still wrong, and what was repaired.
    """
    with catalog.write(progress) as change:
        change.embeddings.remove(bad_embeddings(change.view, store))
        change.files.read_again(store.model.id)
    store.repair(catalog, progress)
    with catalog.read() as view:
        without = view.embeddings.images_without(store.model.id)
    left = find_problems(catalog, store).problems
    repaired = [line for line in found.problems if line not in left and not line.endswith(_NO_EMBEDDING)]
    advice = "Run `searcher index` to embed these photos again." if without else None
    return CheckReport(left, tuple(repaired), advice)


def with_photos(catalog: Catalog, report: CheckReport, progress: Progress = SILENT) -> CheckReport:
    """`report`, and which photo files are not what was indexed."""
    from searcher.library.photo_check import check_photos

    found = check_photos(catalog, progress)
    advice = report.advice
    if found.changed and advice is None:
        advice = "Restore these photos from a backup, or take them as they are: searcher index --check-content"
    return replace(report, problems=report.problems + found.problems, advice=advice, photos=found)
