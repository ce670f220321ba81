"""Which files are written: few of them, none too large, and no vector very often."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from searcher.vectors import plan
from searcher.vectors.plan import FAN, SMALL, Span, max_vectors, to_write

MOST = 100_000


@st.composite
def rows_of_spans(draw: st.DrawFn) -> list[Span]:
    """Spans without gaps, some of them without a file, and with embeddings that are gone."""
    spans, after = [], 0
    for _ in range(draw(st.integers(0, 12))):
        last = after + draw(st.integers(1, 2 * MOST))
        live = draw(st.integers(0, min(MOST, last - after)))
        held = draw(st.none() | st.integers(live, max(live, min(MOST, last - after))))
        spans.append(Span(after, last, live, held))
        after = last
    return spans


@given(rows_of_spans())
def test_what_is_written_covers_whole_spans_that_follow_each_other(spans: list[Span]) -> None:
    begins, ends = {span.after: span for span in spans}, {span.last for span in spans}
    chosen = to_write(spans, MOST)
    assert all(one.last <= following.after for one, following in pairwise(chosen))
    for span in chosen:
        assert span.held is None and span.after in begins and span.last in ends
        inside = [each for each in spans if span.after <= each.after and each.last <= span.last]
        assert span.live == sum(each.live for each in inside)
        assert len(inside) == 1 or span.live <= MOST


@given(rows_of_spans())
def test_few_embeddings_stay_outside_of_all_files(spans: list[Span]) -> None:
    written = [(span.after, span.last) for span in to_write(spans, MOST)]
    left = [span for span in spans if not any(after <= span.after < last for after, last in written)]
    assert sum(span.outside for span in left) < plan.MAX_OUTSIDE + sum(span.held or 0 for span in left) / 10


@given(rows_of_spans())
def test_after_it_is_written_nothing_is_written_again(spans: list[Span]) -> None:
    chosen = to_write(spans, MOST)
    kept = [span for span in spans if not any(new.after <= span.after and span.last <= new.last for new in chosen)]
    done = sorted([*kept, *(span._replace(held=span.live) for span in chosen)])
    again = to_write(done, MOST)
    assert all(span.live > 0 for span in again) and len(again) <= 1  # the newest may take in one that became small
    assert len(again) == 0 or sum(span.outside for span in done) > 0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 30_000), min_size=1, max_size=300), st.integers(0, 4))
def test_many_additions_make_few_files_and_write_each_vector_a_few_times(sizes: list[int], repeat: int) -> None:
    sizes = sizes * (1 + repeat)
    files: list[Span] = []
    newest = covered = written = 0
    for size in sizes:
        newest += size
        pending = Span(covered, newest, newest - covered, None)
        for span in to_write([*files, pending], MOST):
            files = [file for file in files if file.last <= span.after] + [span._replace(held=span.live)]
            written += span.live
            covered = span.last
            assert span.live <= max(MOST, pending.live)
        assert [file.last for file in files[:-1]] == [file.after for file in files[1:]]
        assert newest - covered < max(plan.MAX_OUTSIDE, covered / 10)
        # full files, and those that grow by a factor
        assert len(files) <= 2 * newest / MOST + 8
    times = 1 + SMALL / min(plan.MAX_OUTSIDE, max(1, newest // 10)) + (FAN + 1) * 3
    assert written <= times * newest


def test_a_file_has_at_most_so_many_bytes_of_vectors() -> None:
    assert max_vectors(512) * 512 * 2 == plan.MAX_BYTES
    assert max_vectors(384) > max_vectors(512)
