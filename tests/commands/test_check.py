"""`searcher check`: what it says to do about a problem."""

import sqlite3
from contextlib import closing

import pytest

from searcher.catalog.connect import CATALOG_NAME
from searcher.commands import main
from tests.library.conftest import Album, album, model

__all__ = ["album", "model"]


def test_check_and_repair_say_what_to_do_next(album: Album, capsys: pytest.CaptureFixture[str]) -> None:
    album.fill()
    folder = album.library.folder

    def check(*options: str) -> tuple[int, list[str]]:
        with pytest.raises(SystemExit) as ended:
            main.main(args=["check", "--library", str(folder), *options])
        return int(ended.value.code or 0), capsys.readouterr().out.splitlines()

    assert check() == (0, ["The library has no problems."])
    with closing(sqlite3.connect(folder / CATALOG_NAME)) as catalog, catalog:
        catalog.execute("UPDATE embeddings SET vector = x'00' WHERE id = 2")
    damaged = "catalog: 1 embedding is damaged"
    assert check() == (1, [damaged, "The library has problems.", "Repair it with: searcher check --repair"])
    assert check("--repair") == (
        1,
        [
            "catalog: 1 photo has no embedding",
            f"repaired: {damaged}",
            "The library has problems.",
            "Run `searcher index` to embed these photos again.",
        ],
    )
    album.index()
    assert check() == (0, ["The library has no problems."])
