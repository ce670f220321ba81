"""The vector file: written as FAISS writes it, opened only if it is what was written, searched exactly."""

import os
import struct
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from searcher.catalog.rows import VectorFile
from searcher.errors import Damaged
from searcher.vectors import exact, part
from searcher.vectors.exact import exact_search, merge
from searcher.vectors.part import DIGEST_BYTES, Part, read_digest, verify
from searcher.vectors.writing import write

DIM = 24


def unit_vectors(count: int, dim: int = DIM, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    unit: np.ndarray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
    return unit


def written(path: Path, count: int = 500) -> tuple[VectorFile, np.ndarray, np.ndarray]:
    """Write a file of `count` vectors with the ids 7, 10, 13, …"""
    ids, vectors = 7 + 3 * np.arange(count, dtype=np.int64), unit_vectors(count)
    half = count // 2
    chunks = [(ids[:half], vectors[:half]), (ids[half:], vectors[half:])]
    return write(path, count, DIM, chunks), ids, vectors


@settings(max_examples=30, deadline=None)
@given(count=st.integers(0, 40), dim=st.integers(1, 70), seed=st.integers(0, 1000))
def test_a_written_file_equals_what_faiss_writes_plus_where_it_begins_and_a_digest(
    tmp_path_factory: pytest.TempPathFactory, count: int, dim: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("faiss")
    ids, vectors = np.arange(count, dtype=np.int64) * 5 + seed, unit_vectors(count, dim, seed)
    write(folder / "ours", count, dim, [(ids, vectors)], after=seed)
    index = faiss.IndexIDMap(faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT))
    index.add_with_ids(vectors.astype(np.float32), ids)
    faiss.write_index(index, str(folder / "theirs"))
    ours = (folder / "ours").read_bytes()
    assert ours[:-DIGEST_BYTES] == (folder / "theirs").read_bytes() + struct.pack("<q", seed)


def test_a_search_is_exact_apart_from_float16_rounding(tmp_path: Path) -> None:
    file, ids, vectors = written(tmp_path / "index")
    index = Part.open(tmp_path / "index", file, DIM)
    queries = unit_vectors(5, seed=9).astype(np.float32)
    scores, found = index.search(queries, 10)
    exact = queries @ vectors.astype(np.float32).T
    order = np.argsort(-exact, axis=1)[:, :10]
    assert (found == ids[order]).all()
    np.testing.assert_allclose(scores, np.take_along_axis(exact, order, 1), atol=1e-5)
    assert (len(index), index.file.last_id) == (500, ids[-1])


def test_a_file_in_a_folder_whose_name_is_not_utf8_is_opened(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n"))
    folder.mkdir()
    file, ids, vectors = written(folder / "index")
    _, found = Part.open(folder / "index", file, DIM).search(vectors[3:4].astype(np.float32), 1)
    assert found[0, 0] == ids[3]


def test_a_search_with_allowed_ids_returns_only_those_best_first(tmp_path: Path) -> None:
    file, ids, vectors = written(tmp_path / "index")
    index = Part.open(tmp_path / "index", file, DIM)
    query = unit_vectors(1, seed=3).astype(np.float32)
    allowed = ids[::7]
    _, found = index.search(query, 100, allowed)
    real = found[0][found[0] >= 0]
    exact = vectors[::7].astype(np.float32) @ query[0]
    assert real.tolist() == allowed[np.argsort(-exact)].tolist()
    assert len(real) == len(allowed) < 100


@settings(max_examples=40, deadline=None)
@given(
    allowed=st.lists(st.integers(0, 700), unique=True),  # the file has 7, 10, …, 604
    queries=st.integers(1, 5),
    k=st.integers(1, 250),
    few_rows=st.sampled_from([7, 8192]),
)
def test_a_search_among_few_and_one_among_many_find_the_same(
    tmp_path_factory: pytest.TempPathFactory, allowed: list[int], queries: int, k: int, few_rows: int
) -> None:
    path = tmp_path_factory.mktemp("faiss") / "index"
    file, ids, vectors = written(path, 200)
    index = Part.open(path, file, DIM)
    asked = unit_vectors(queries, seed=k).astype(np.float32)
    exact = {id: vectors[row].astype(np.float32) @ asked.T for row, id in enumerate(ids.tolist()) if id in allowed}
    found = []
    for share in (0.0, 1.0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(part, "FEW", share)
            patch.setattr(part, "_FEW_ROWS", few_rows)
            found.append(index.search(asked, k, np.array(sorted(allowed), np.int64)))
    for scores, hits in found:
        assert scores.shape == hits.shape == (queries, k)
        for number, row in enumerate(hits.tolist()):
            real = [id for id in row if id >= 0]
            assert len(real) == min(k, len(exact)) and row[len(real) :] == [-1] * (k - len(real))
            expected = sorted((float(scores[number]) for scores in exact.values()), reverse=True)[:k]
            np.testing.assert_allclose(scores[number, : len(real)], expected, atol=1e-5)
            np.testing.assert_allclose([exact[id][number] for id in real], expected, atol=1e-5)


def test_vectors_outside_a_file_give_the_same_result_as_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, ids, vectors = written(tmp_path / "index")
    index = Part.open(tmp_path / "index", file, DIM)
    queries = unit_vectors(3, seed=4).astype(np.float32)
    monkeypatch.setattr(exact, "_ROWS", 64)
    for allowed in (None, ids[::5]):
        inside = index.search(queries, 20, allowed)
        outside = exact_search(ids, vectors, queries, 20, allowed)
        assert (inside[1] == outside[1]).all()
        np.testing.assert_allclose(inside[0], outside[0], atol=1e-5)


def test_merged_results_are_sorted_and_missing_hits_come_last() -> None:
    first = (np.array([[0.9, 0.5, -np.inf]], np.float32), np.array([[4, 8, -1]]))
    second = (np.array([[0.7, 0.5, -3e38]], np.float32), np.array([[5, 2, -1]]))
    scores, ids = merge([first, second], 5)
    assert ids.tolist() == [[4, 5, 2, 8, -1]]
    assert scores[0, :4].tolist() == pytest.approx([0.9, 0.7, 0.5, 0.5])


def test_a_file_with_a_wrong_size_or_content_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "index"
    file, _, _ = written(path)
    whole = path.read_bytes()
    for content in (whole[:-100], whole + b"x", b"", b"x" * len(whole)):
        path.write_bytes(content)
        with pytest.raises(Damaged):
            Part.open(path, file, DIM)
    path.unlink()
    with pytest.raises(Damaged):
        Part.open(path, file, DIM)


def test_a_file_with_an_unexpected_header_or_count_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "index"
    file, _, _ = written(path)
    for expected, dim in (
        (file._replace(vectors=499), DIM),
        (file._replace(last_id=1), DIM),
        (file, DIM + 1),
    ):
        with pytest.raises(Damaged):
            Part.open(path, expected, dim)
    damaged = bytearray(path.read_bytes())
    struct.pack_into("<q", damaged, 8, 499)
    path.write_bytes(damaged)
    with pytest.raises(Damaged):
        Part.open(path, file, DIM)


def test_another_kind_of_faiss_index_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "index"
    other = faiss.IndexFlatIP(DIM)
    other.add(unit_vectors(10).astype(np.float32))
    faiss.write_index(other, str(path))
    with pytest.raises(Damaged, match="is not the expected kind of FAISS index"):
        Part.open(path, VectorFile(b"", 0, 9, 10, path.stat().st_size), DIM)


@settings(max_examples=40, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_verify_detects_a_single_flipped_bit_anywhere(
    tmp_path_factory: pytest.TempPathFactory, where: float, bit: int
) -> None:
    path = tmp_path_factory.mktemp("faiss") / "index"
    written(path, 50)
    assert verify(path)
    content = bytearray(path.read_bytes())
    content[int(where * len(content))] ^= 1 << bit
    path.write_bytes(content)
    assert not verify(path)


def test_a_failed_write_leaves_no_file_behind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="10 vectors"):
        write(tmp_path / "index", 10, DIM, [(np.arange(3), unit_vectors(3))])
    assert list(tmp_path.iterdir()) == []
    assert read_digest(tmp_path / "index") is None
    assert not verify(tmp_path / "index")


def test_an_empty_index_opens_and_finds_nothing(tmp_path: Path) -> None:
    file = write(tmp_path / "index", 0, DIM, [])
    index = Part.open(tmp_path / "index", file, DIM)
    assert (len(index), index.file.last_id) == (0, 0)
    assert index.search(unit_vectors(1).astype(np.float32), 3)[1].tolist() == [[-1, -1, -1]]
    nothing = np.zeros(0, np.int64), np.zeros((0, DIM), np.float16)
    assert exact_search(*nothing, unit_vectors(1), 3)[1].tolist() == [[-1, -1, -1]]


# graphs


def with_graph(path: Path, vectors: np.ndarray) -> Part:
    """A file with a graph, whose ids are 1, 2, 3, …"""
    ids = np.arange(1, len(vectors) + 1)
    return Part.open(path, write(path, len(ids), DIM, [(ids, vectors)], graph=True), DIM)


@pytest.mark.parametrize("share", [0.002, 0.05, 0.5, 1.0])
def test_a_graph_finds_nearly_all_of_the_nearest_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    monkeypatch.setattr(part, "EF", 256)
    vectors, queries = unit_vectors(3000), unit_vectors(30, seed=2).astype(np.float32)
    index = with_graph(tmp_path / "index", vectors)
    assert index.kind == "hnsw"
    allowed = np.sort(np.random.default_rng(1).choice(3000, int(share * 3000), replace=False)) + 1
    found = [index.search(query[None], 5, allowed)[1][0] for query in queries]
    scores = queries @ vectors[allowed - 1].astype(np.float32).T
    right = allowed[np.argsort(-scores, axis=1)[:, :5]]
    assert np.mean([len(set(a) & set(b)) / 5 for a, b in zip(found, right, strict=True)]) >= 0.99


def test_a_filter_whose_photos_are_far_from_the_query_hides_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part, "EF", 32)
    vectors = unit_vectors(2000)
    query = unit_vectors(1, seed=2).astype(np.float32)
    scores = (vectors.astype(np.float32) @ query.T)[:, 0]
    allowed = np.sort(np.argsort(scores)[:1000]) + 1  # the farther half
    index = with_graph(tmp_path / "index", vectors)
    _, found = index.search(query, 10, allowed)
    assert found[0].tolist() == allowed[np.argsort(-scores[allowed - 1])[:10]].tolist()


def test_a_graph_with_a_link_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    path, vectors = tmp_path / "index", unit_vectors(100)
    file = with_graph(path, vectors).file
    data = path.read_bytes()
    index: Any = faiss.deserialize_index(np.frombuffer(data, np.uint8))
    inner: Any = faiss.downcast_index(index.index)
    graph = inner.hnsw
    links = faiss.rev_swig_ptr(graph.neighbors.data(), graph.neighbors.size()).copy()
    begin = data.index(links.tobytes())
    levels, offsets = faiss.vector_to_array(graph.levels), faiss.vector_to_array(graph.offsets)
    low, tall = int(np.flatnonzero(levels == 1)[0]), int(np.flatnonzero(levels > 1)[0])
    above = int(offsets[tall]) + graph.nb_neighbors(0)  # the first link of the level above the lowest one
    for place, node in [(0, 100), (0, -2), (above, low)]:
        links_now = links.copy()
        links_now[place] = node
        path.write_bytes(data[:begin] + links_now.tobytes() + data[begin + links.nbytes :])
        with pytest.raises(Damaged):
            Part.open(path, file, DIM)


@settings(max_examples=100, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), value=st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
def test_a_damaged_byte_of_a_graph_never_ends_the_process(
    tmp_path_factory: pytest.TempPathFactory, where: float, value: int
) -> None:
    folder = tmp_path_factory.mktemp("faiss")
    vectors = unit_vectors(100)
    file = with_graph(folder / "index", vectors).file
    data = bytearray((folder / "index").read_bytes())
    data[int(where * len(data))] = value
    (folder / "damaged").write_bytes(data)
    try:
        index = Part.open(folder / "damaged", file, DIM)
    except Damaged:
        return
    for allowed in (None, np.arange(1, 80), np.arange(3)):
        index.search(vectors[:3].astype(np.float32), 100, allowed)
        index.search(vectors[:3].astype(np.float32), 5, allowed)
