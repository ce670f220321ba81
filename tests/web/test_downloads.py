"""Photos as a zip file, and in the file manager."""

import io
import os
import sys
import unicodedata
import zipfile
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from searcher.web import downloads
from searcher.web.downloads import LONGEST_NAME, Names
from tests.library.conftest import Album
from tests.web.conftest import Clients, client_of


def download(client: TestClient, ids: list[int]) -> zipfile.ZipFile:
    asked = client.post("/api/downloads", json={"ids": ids})
    assert asked.status_code == 200, asked.text
    answer = client.get(f"/{asked.json()['url']}", headers={"X-Searcher-Token": ""})  # as a link is opened
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"].startswith("attachment")
    return zipfile.ZipFile(io.BytesIO(answer.content))


def test_a_zip_has_each_photo_once_under_a_name_of_its_own(own_client: TestClient, album: Album) -> None:
    album.add("a/same.png", "red", 10)
    album.add("b/SAME.png", "green", 11)
    album.index()
    ids = sorted(photo.id for photo in album.library.with_copies(range(100)))
    with download(own_client, [*ids, *ids, 10**6]) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert len(names) == len({name.casefold() for name in names}) == 6
        assert "same.png" in names and "SAME (2).png" in names
        assert archive.read("red.png") == (album.folder / "red.png").read_bytes()
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())


def test_what_cannot_be_read_is_listed_in_the_zip(own_client: TestClient, album: Album) -> None:
    album.copy("red.png", "copy/of red.png")
    album.index()
    for name in ("red.png", "green.png", "blue.png"):
        (album.folder / name).unlink()
    if hasattr(os, "mkfifo"):
        os.mkfifo(album.folder / "blue.png")  # nothing waits for it
    with download(own_client, [1, 2, 3, 4]) as archive:
        assert sorted(archive.namelist()) == ["not included.txt", "red.png", "white.png"]
        listed = archive.read("not included.txt").decode()
    assert "green.png: No such file" in listed and "blue.png" in listed


def test_a_zip_is_never_in_memory_as_a_whole(album: Album) -> None:
    big = album.folder / "red.png"
    with big.open("r+b") as file:
        file.truncate(30 * downloads.CHUNK)
    parts = list(downloads.zip_photos(album.library, [3]))
    assert len(parts) > 30 and max(map(len, parts)) < 2 * downloads.CHUNK
    with zipfile.ZipFile(io.BytesIO(b"".join(parts))) as archive:
        assert archive.testzip() is None


def test_a_key_is_forgotten_after_a_while(client_for: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_for()
    urls = [client.post("/api/downloads", json={"ids": [1]}).json()["url"] for _ in range(downloads.MOST_KEYS + 1)]
    assert client.get(f"/{urls[0]}").status_code == 404
    assert client.get(f"/{urls[-1]}").status_code == 200
    monkeypatch.setattr(downloads, "KEY_SECONDS", 0.0)
    url = client.post("/api/downloads", json={"ids": [1]}).json()["url"]
    assert client.get(f"/{url}").status_code == 404
    assert client.get("/api/downloads/unknown").status_code == 404


def test_a_download_has_its_own_library(album: Album, client: TestClient) -> None:
    assert isinstance(client.app, FastAPI)
    client.app.state.libraries.by_name["other"] = album.library
    (album.folder / "white.png").unlink()
    url = client.post("/api/downloads?library=other", json={"ids": [4]}).json()["url"]
    with zipfile.ZipFile(io.BytesIO(client.get(f"/{url}").content)) as archive:
        assert archive.namelist() == ["not included.txt"]


@pytest.mark.parametrize("ids", [[], list(range(1, 10_002)), ["1; DROP"], [0]])
def test_wrong_ids_are_refused(client: TestClient, ids: list[object]) -> None:
    assert client.post("/api/downloads", json={"ids": ids}).status_code == 400


@given(st.lists(st.text(min_size=1, max_size=250) | st.sampled_from(["NUL.a", "a.jpg", "A.JPG", "..", "é", "e\u0301"])))
def test_names_in_a_zip_are_allowed_everywhere_and_unique(names: list[str]) -> None:
    unique = Names()
    made = [unique.new(name) for name in names]
    assert len({unicodedata.normalize("NFKC", name).casefold() for name in made}) == len(made)
    for name in made:
        assert name and name.isprintable() and not set(name) & set('/\\:*?"<>|') and name.rstrip(". ")
        assert len(name.encode()) <= LONGEST_NAME + 20 and name.partition(".")[0].upper() not in ("CON", "NUL")
        assert name not in (".", "..")


# the file manager


@pytest.mark.skipif(sys.platform != "linux", reason="what Linux has")
def test_the_file_manager_is_opened_at_the_file_without_a_shell(
    own_client: TestClient, album: Album, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "it's $(touch x), `y`.png"
    album.copy("red.png", name)
    album.index()
    programs, told = tmp_path / "bin", tmp_path / "told"
    programs.mkdir()
    (programs / "gdbus").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{told}"\n')
    (programs / "gdbus").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/bin:/usr/bin")
    answer = own_client.post("/api/images/5/reveal")
    assert answer.json() == {"path": str(album.folder / name)}
    argument = told.read_text().splitlines()[-2]
    assert argument == f"['file://{album.folder}/it%27s%20%24%28touch%20x%29%2C%20%60y%60.png']"

    (programs / "gdbus").write_text("#!/bin/sh\nexit 1\n")  # no desktop answers
    (programs / "dbus-send").write_text("#!/bin/sh\nexit 1\n")
    (programs / "xdg-open").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{told}"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    assert own_client.post("/api/images/5/reveal").status_code == 200
    assert told.read_text() == f"{album.folder}\n"


def test_without_a_file_manager_or_a_file_nothing_is_opened(
    own_client: TestClient, album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert "copy the path" in own_client.post("/api/images/3/reveal").json()["error"]
    (album.folder / "red.png").unlink()
    answer = own_client.post("/api/images/3/reveal")
    assert answer.status_code == 404 and "not there" in answer.json()["error"]
    assert own_client.post("/api/images/99/reveal").status_code == 404


def test_the_file_manager_is_not_opened_for_another_machine(album: Album) -> None:
    with client_of(album, "192.168.1.5", loopback=False) as client:
        assert client.post("/api/images/1/reveal").status_code == 403
    with client_of(album) as client:
        assert client.post("/api/images/1/reveal", headers={"X-Forwarded-For": "10.0.0.1"}).status_code == 403
