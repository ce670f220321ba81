"""A collection in Milvus Lite, as a user searches, tags and serves it."""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from searcher.scale.milvus.address import read_address
from searcher.scale.milvus.connection import Connection
from searcher.scale.milvus.loading import load
from searcher.scale.shards import list_shards
from tests.e2e.conftest import Program
from tests.web.test_serve import serving


@pytest.mark.slow
def test_a_collection_is_searched_tagged_and_served(program: Program, photos: Callable[..., Path]) -> None:
    folder, shards = photos(3), program.home / "shards"
    assert program.json("embed", folder, "--out", shards, "--thumbnails")["embedded"] == 3
    address = f"milvus:{program.home}/library.db/photos"
    with closing(Connection(read_address(address))) as connection:
        assert load(*list_shards(str(shards)), connection).added == 3

    here = ("--library", address)
    hits = program.json("search", "a picture", "--name", "00?.jpg", *here)
    assert sorted(hit["path"] for hit in hits) == sorted(map(str, folder.iterdir()))
    tagged = program("tag", "--labels", "cat,dog", "--one", "--json", SEARCHER_LIBRARY=address)
    lines = [json.loads(line) for line in tagged.stdout.splitlines()]
    assert [len([tag for tag in line["tags"] if tag["source"] == "zero-shot"]) for line in lines] == [1, 1, 1]
    asked = subprocess.run(
        [sys.executable, "-m", "searcher", "search", "-i", "--paths", *here],
        input="--name 001.jpg\na picture --top 1\n",
        capture_output=True,
        text=True,
        env=program.environment,
    )
    assert (asked.returncode, asked.stdout.splitlines()[0]) == (0, str(folder / "001.jpg"))
    assert len(asked.stdout.splitlines()) == 2

    with (
        serving("--port", "0", *here, home=program.home) as (_, server),
        httpx.Client(base_url=server, timeout=60) as client,
    ):
        assert client.get("api/status").json()["library"] == "photos"
        (hit,) = client.get("api/search?q=a+picture&name=001.jpg").json()["hits"]
        assert hit["path"] == str(folder / "001.jpg")
        assert client.get(f"api/images/{hit['id']}/thumbnail").headers["content-type"] == "image/webp"
