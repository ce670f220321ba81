"""Searches over HTTP find what `Library.search` finds."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from searcher import Library
from searcher.web import create_app, uploads
from searcher.web.security import Access
from tests.histogram_model import COLOURS
from tests.library.conftest import Album
from tests.web.conftest import TOKEN, Clients

Find = Callable[..., dict[str, Any]]


def names(page: dict[str, Any]) -> list[str]:
    return [hit["name"] for hit in page["hits"]]


def found(client: TestClient, **query: Any) -> dict[str, Any]:
    answer = client.get("/api/search", params=query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def upload(colour: str) -> dict[str, Any]:
    file = io.BytesIO()
    Image.new("RGB", (50, 50), COLOURS[colour]).save(file, "PNG")
    return {"picture": ("any name.png", file.getvalue(), "image/png")}


def test_a_text_finds_what_it_says_and_counts_it(client: TestClient, kept_album: Album) -> None:
    page = found(client, q="red")
    assert page["hits"][0] == {
        "rank": 1,
        "id": page["hits"][0]["id"],
        "name": "red.png",
        "path": str(kept_album.folder / "red.png"),
        "width": 22,
        "height": 20,
        "score": 1.0,
        "relevance": pytest.approx(1, abs=0.001),
        "taken_at": None,
        "tags": [],
        "copies": [],
    }
    assert (page["likely"], page["likely_exact"], page["total"], page["nothing_fits"]) == (1, True, 4, False)


def test_a_text_that_nothing_fits_says_so(client: TestClient) -> None:
    page = found(client, q="yellow")
    assert (page["likely"], page["nothing_fits"], page["total"]) == (0, True, 4)


def test_the_hits_are_those_of_the_library(client: TestClient, kept_album: Album) -> None:
    for query in ("red", "red white", "green"):
        hits = kept_album.library.search(query)
        page = found(client, q=query)["hits"]
        assert [(hit.id, hit.score) for hit in hits] == [(hit["id"], hit["score"]) for hit in page]
        assert [hit.relevance for hit in hits] == pytest.approx([hit["relevance"] for hit in page])


def test_without_anything_all_photos_are_listed(client: TestClient) -> None:
    for query in ({}, {"q": ""}, {"q": ["", " "], "not": "", "tag": "", "camera": "", "after": ""}):
        page = found(client, **query)
        assert (page["total"], page["likely"], len(page["hits"])) == (4, None, 4)


def test_pages_follow_one_another(client: TestClient) -> None:
    for query in ({}, {"q": "red"}, {"like": "id:1"}, {"format": "png"}):
        whole = found(client, **query)["hits"]
        parts = [found(client, **query, offset=offset, limit=1)["hits"] for offset in range(5)]
        assert [hit for part in parts for hit in part] == whole
        assert [hit["rank"] for hit in whole] == [1, 2, 3, 4]


def test_terms_add_up_with_weights(client: TestClient) -> None:
    assert names(found(client, q=["red", "3:blue"]))[:2] == ["blue.png", "red.png"]
    assert names(found(client, **{"q": "red white", "not": "2:white"}))[0] == "red.png"
    (red,) = (hit["id"] for hit in found(client)["hits"] if hit["name"] == "red.png")
    assert names(found(client, like=f"id:{red}"))[0] == "red.png"
    assert names(found(client, like=f"id:{red}", unlike=f"2:id:{red}"))[-1] == "red.png"


def test_filters_and_the_least_relevance_narrow_a_search(client: TestClient, kept_album: Album) -> None:
    assert names(found(client, name="b*")) == ["blue.png"]
    assert names(found(client, q="red", min_relevance=0.5)) == ["red.png"]
    assert found(client, folder=str(kept_album.folder))["total"] == 4
    assert found(client, format="jpeg")["total"] == 0
    assert client.get("/api/search?folder=/nowhere").status_code == 404
    assert client.get("/api/search?tag=unicorn").status_code == 404


def test_a_picture_finds_photos_like_it_and_stays_for_the_next_searches(client: TestClient) -> None:
    answer = client.post("/api/search", files=upload("blue"), data={"limit": "2"})
    page = answer.json()
    assert names(page)[0] == "blue.png" and len(page["hits"]) == 2
    again = found(client, like=f"upload:{page['upload']}")
    assert names(again)[0] == "blue.png" and again["likely"] is None
    assert names(found(client, q="red", like=f"0.1:upload:{page['upload']}"))[0] == "red.png"
    assert names(found(client, unlike=f"upload:{page['upload']}"))[-1] == "blue.png"


def test_a_picture_and_a_text_add_up(client: TestClient) -> None:
    page = client.post("/api/search", files=upload("blue"), data={"q": ["9:white", "9:white"]}).json()
    assert names(page)[0] == "white.png"


def test_only_the_last_pictures_are_kept(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_KEPT", 2)
    keys = [client.post("/api/search", files=upload("red")).json()["upload"] for _ in range(3)]
    states = [client.get(f"/api/search?like=upload:{key}").status_code for key in keys]
    assert states == [404, 200, 200]
    assert client.get(f"/api/search?like=upload:{keys[0]}").json() == {"error": "the picture is gone: choose it again"}


def test_a_photo_that_was_indexed_meanwhile_is_found_at_once(own_client: TestClient, album: Album) -> None:
    assert found(own_client, q="yellow")["nothing_fits"]
    album.add("yellow.png", "yellow", 7)
    album.index()
    assert names(found(own_client, q="yellow", min_relevance=0.5)) == ["yellow.png"]
    assert found(own_client)["total"] == 5


def test_a_photo_that_is_gone_is_not_found(own_client: TestClient, album: Album) -> None:
    assert found(own_client)["total"] == 4
    (album.folder / "red.png").unlink()
    album.index()
    assert names(found(own_client, q="red")).count("red.png") == 0
    assert found(own_client)["total"] == 3


def test_photos_have_the_labels_that_they_were_given(own_client: TestClient, album: Album) -> None:
    album.library.add_tag("Rex", [1])
    assert found(own_client, tag="Rex")["hits"][0]["tags"] == ["Rex"]


def test_likely_photos_come_first_by_time_and_the_others_after_them(own_client: TestClient, album: Album) -> None:
    exif = Image.Exif()
    for number, year in enumerate((2019, 2023, 2021)):
        exif.get_ifd(0x8769)[0x9003] = f"{year}:01:01 00:00:00"
        path = album.folder / f"{year}.jpg"
        Image.new("RGB", (60 + number, 20), COLOURS["yellow"]).save(path, exif=exif)
        album.touch(path)
    album.index()
    page = found(own_client, q="yellow", sort="time")
    assert page["likely"] == 3
    assert [hit["taken_at"] for hit in page["hits"][:4]] == [f"{y}-01-01T00:00:00" for y in (2023, 2021, 2019)] + [None]


def test_diverse_hits_are_the_same_ones_in_another_order(client: TestClient) -> None:
    plain, diverse = found(client, q="red white"), found(client, q="red white", diverse=True)
    assert sorted(names(plain)) == sorted(names(diverse))
    assert (plain["likely"], plain["total"]) == (diverse["likely"], diverse["total"])
    assert client.get("/api/search?diverse=true").status_code == 400  # nothing to be like


def test_one_server_has_several_libraries(client_for: Clients, kept_album: Album, album: Album) -> None:
    album.add("black.png", "black", 9)
    album.index()
    app = create_app({"one": kept_album.library, "two": album.library}, Access(TOKEN))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert [library["name"] for library in client.get("/api/libraries").json()] == ["one", "two"]
        totals = [found(client, **query)["total"] for query in ({}, {"library": "one"}, {"library": "two"})]
        assert totals == [4, 4, 5]
        assert client.get("/api/search?library=three").status_code == 404


def test_a_library_that_is_not_there_yet_has_no_photos(tmp_path: Any) -> None:
    with Library.open(tmp_path / "none", create=True) as library:
        app = create_app({"none": library}, Access(TOKEN))
        with TestClient(app, base_url="http://127.0.0.1", headers={"X-Searcher-Token": TOKEN}) as client:
            assert found(client)["total"] == found(client, q="red")["total"] == found(client, tag="x")["total"] == 0
            assert client.get("/api/images/1").status_code == 404
            assert client.get("/api/images/1/thumbnail").status_code == 404
            assert client.post("/api/search", files=upload("red")).status_code == 404
