"""Labels, tags, taught labels, duplicates and sidecars over HTTP."""

import shutil

import pytest
from fastapi.testclient import TestClient

from tests.library.conftest import Album
from tests.web.test_jobs import finished

BLUE, GREEN, RED, WHITE = 1, 2, 3, 4  # ids, in the order of the names of the files


def tag_by_hand(client: TestClient, **body: object) -> dict[str, object]:
    answer = client.post("/api/tags", json=body)
    assert answer.status_code == 200, answer.text
    edited: dict[str, object] = answer.json()
    return edited


def test_labels_are_given_and_taken_away_by_hand(own_client: TestClient) -> None:
    assert tag_by_hand(own_client, ids=[RED, BLUE, 99], add=["  my   dog "]) == {"added": {"my dog": 2}, "removed": {}}
    assert tag_by_hand(own_client, ids=[RED], remove=["my dog"]) == {"added": {}, "removed": {"my dog": 1}}
    (label,) = own_client.get("/api/labels").json()
    assert label == {"label": "my dog", "photos": 1, "sources": {"user": 1}, "samples": [BLUE], "taught": None}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"ids": [1]}, 400),
        ({"ids": [], "add": ["a"]}, 400),
        ({"ids": [1], "add": ["a"], "remove": ["a"]}, 404),
        ({"ids": [1], "remove": ["never given"]}, 404),
        ({"ids": [1], "add": [" "]}, 400),
        ({"ids": [1], "add": ["a\0b"]}, 400),
        ({"ids": ["x"], "add": ["a"]}, 400),
        ({"ids": [2**63], "add": ["a"]}, 400),
        ({"ids": list(range(1, 10_002)), "add": ["a"]}, 400),
    ],
)
def test_a_wrong_edit_is_refused(own_client: TestClient, body: dict[str, object], code: int) -> None:
    assert own_client.post("/api/tags", json=body).status_code in (code, 400)
    assert own_client.get("/api/labels").json() == []


def test_a_photo_with_a_label_from_two_sources_counts_once(own_client: TestClient, album: Album) -> None:
    own_client.post("/api/tag", json={"labels": ["red", "green"]})
    assert finished(own_client)["result"]["tagged"] == {"red": 1, "green": 1}
    tag_by_hand(own_client, ids=[RED, WHITE], add=["red"])
    first, second = own_client.get("/api/labels").json()
    assert (first["label"], first["photos"], first["sources"]) == ("red", 2, {"zero-shot": 1, "user": 2})
    assert set(first["samples"]) == {RED, WHITE}
    assert (second["label"], second["photos"]) == ("green", 1)

    def photos(**filter: object) -> dict[str, int]:
        found = own_client.get("/api/labels", params=filter).json()  # type: ignore[arg-type]
        return {label["label"]: label["photos"] for label in found}

    assert photos(tag="green") == {"green": 1}
    assert photos(source="user") == {"red": 2}
    assert photos(source="zero-shot") == {"red": 1, "green": 1}
    assert photos(name="white*") == {"red": 1}
    assert photos(limit=1) == {"red": 2}
    assert own_client.get("/api/facets").json()["sources"] == ["zero-shot", "user"]

    untagged = own_client.request("DELETE", "/api/tag", json={"labels": ["red", "green"]})
    assert untagged.json() == {"removed": 2}
    assert photos() == {"red": 2}
    assert own_client.request("DELETE", "/api/tag", json={"labels": ["unknown"]}).status_code == 404


def test_the_counts_of_labels_are_those_of_the_command(own_client: TestClient, album: Album) -> None:
    for number in range(30):
        album.add(f"more/{number}.png", ("red", "green", "yellow")[number % 3], 10 + number)
    album.index()
    album.copy("red.png", "copy.png")
    album.index()
    album.library.teach("Rex", [RED, GREEN])
    album.library.tag(["red", "green", "yellow", "Rex"])
    album.library.edit_tags([RED, WHITE, *range(8, 20)], add=["red", "Rex", "mine"])
    album.library.edit_tags(range(15, 25), remove=["red"])
    counted = {label["label"]: label["sources"] for label in own_client.get("/api/labels").json() if label["sources"]}
    expected: dict[str, dict[str, int]] = {}
    for label, source, photos in album.library.label_counts():
        expected.setdefault(label, {})[source] = photos
    assert counted == expected


def test_a_label_is_taught_from_photos_and_forgotten(own_client: TestClient) -> None:
    own_client.post("/api/teach", json={"label": "  warm  ", "ids": [RED], "against": [BLUE, GREEN]})
    job = finished(own_client)
    assert job["state"] == "done", job
    assert {key: job["result"][key] for key in ("label", "examples", "against")} == {
        "label": "warm",
        "examples": 1,
        "against": 2,
    }
    (label,) = (row for row in own_client.get("/api/labels").json() if row["label"] == "warm")
    assert label["taught"] == {"examples": 1, "against": 2}
    assert own_client.get("/api/teach/warm").json() == {"examples": [RED], "against": [BLUE, GREEN]}
    assert own_client.delete("/api/teach/warm").json() == {"label": "warm"}
    assert own_client.delete("/api/teach/warm").status_code == 404
    assert own_client.get("/api/teach/warm").json() == {"examples": [], "against": []}


def test_an_example_and_a_counterexample_are_different_photos(own_client: TestClient) -> None:
    answer = own_client.post("/api/teach", json={"label": "x", "ids": [1, 2], "against": [2]})
    assert answer.status_code == 400 and "2" in answer.json()["error"]


def test_a_label_is_taught_from_a_copy_if_only_that_is_there(own_client: TestClient, album: Album) -> None:
    album.copy("red.png", "elsewhere/red.png")
    album.index()
    (album.folder / "red.png").unlink()
    own_client.post("/api/teach", json={"label": "warm", "ids": [RED]})
    assert finished(own_client)["result"]["examples"] == 1


def test_the_labels_of_chosen_photos_are_written_to_sidecars(own_client: TestClient, album: Album) -> None:
    tag_by_hand(own_client, ids=[RED, GREEN], add=["Rex"])
    (album.folder / "green.png").unlink()
    own_client.post("/api/xmp", json={"ids": [RED, GREEN, 99]})
    job = finished(own_client)
    assert job["result"] == {"changed": 1, "unchanged": 0, "missing": 1, "failures": []}
    assert "Rex" in (album.folder / "red.png.xmp").read_text()
    tag_by_hand(own_client, ids=[RED], remove=["Rex"])
    own_client.post("/api/xmp", json={"ids": [RED]})
    assert finished(own_client)["result"]["changed"] == 1
    assert not (album.folder / "red.png.xmp").exists()


def test_duplicates_are_listed_with_what_tells_them_apart(own_client: TestClient, album: Album) -> None:
    assert own_client.get("/api/duplicates").json() is None
    album.copy("red.png", "copy.png")
    shutil.copy(album.folder / "red.png", album.folder / "second.png")
    album.index()
    own_client.post("/api/duplicates")
    assert finished(own_client)["result"] == {"groups": 1, "others": 2}
    (group,) = own_client.get("/api/duplicates").json()["groups"]
    assert group["kind"] == "exact"
    file = album.folder / "red.png"
    assert group["keep"] == {
        "id": RED, "path": str(file), "width": 22, "height": 20, "bytes": file.stat().st_size
    }  # fmt: skip
    assert {other["path"] for other in group["others"]} == {str(album.folder / n) for n in ("copy.png", "second.png")}
    (album.folder / "copy.png").unlink()
    (album.folder / "second.png").unlink()
    album.index()
    assert own_client.get("/api/duplicates").json()["groups"] == []
