"""Nobody reaches the photos who should not, and nobody takes the server down."""

import io
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from searcher.library import Library
from searcher.web import security
from tests.library.conftest import Album
from tests.web.conftest import TOKEN, Clients


def picture(colour: str = "red", side: int = 30) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(file, "PNG")
    return file.getvalue()


# hosts and origins


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:7532", "localhost:1", "[::1]:7532", "LOCALHOST", "127.0.0.9"])
def test_a_server_on_this_machine_answers_to_its_own_names(client: TestClient, host: str) -> None:
    assert client.get("/api/search", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:7532", "192.168.1.5", "", "[::1", "a b"]
)
@pytest.mark.parametrize("path", ["/", "/api/search", "/api/images/1/original", "/static/page.js"])
def test_another_host_name_is_refused_so_that_no_name_is_rebound(client: TestClient, host: str, path: str) -> None:
    answer = client.get(path, headers={"Host": host})
    assert answer.status_code == 403
    assert "error" in answer.json()


def test_a_name_that_was_allowed_is_answered_with_a_token(client_for: Clients) -> None:
    client = client_for("photos.example", token=False, hosts=("photos.example",))
    assert client.get("/api/search").status_code == 401
    assert client.get("/api/search", headers={"X-Searcher-Token": TOKEN}).status_code == 200


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://127.0.0.1:9999", "http://localhost:7532", "file://", "http://[", ""],
)
def test_a_page_of_another_origin_is_refused_even_with_the_token(client: TestClient, origin: str) -> None:
    for answer in (
        client.get("/api/search", headers={"Origin": origin}),
        client.post("/api/search", files={"picture": picture()}, headers={"Origin": origin}),
    ):
        assert answer.status_code == 403


def test_our_own_page_is_answered(client: TestClient) -> None:
    headers = {"Origin": "http://127.0.0.1:7532", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/api/search", files={"picture": picture()}, headers=headers).status_code == 200


def test_behind_a_proxy_the_origin_is_the_allowed_name_whatever_host_the_proxy_sends(client_for: Clients) -> None:
    client = client_for(hosts=("photos.example",))
    headers = {"Origin": "https://photos.example", "X-Forwarded-For": "192.0.2.7"}
    assert client.post("/api/search", files={"picture": picture()}, headers=headers).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_page_cannot_show_photos_or_make_the_server_search(client: TestClient, site: str) -> None:
    as_picture = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    as_link = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert client.get("/api/images/1/original", headers=as_picture).status_code == 403
    assert client.get("/api/search?q=red", headers=as_link).status_code == 403
    assert client.get("/", headers=as_picture).status_code == 403
    assert client.get("/", headers=as_link).status_code != 403  # a link to the page may be anywhere


# tokens


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "é"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_changes_without_the_token(client_for: Clients, token: str, method: str) -> None:
    client = client_for(token=False)
    client.cookies.set(security.Access(TOKEN).cookie, TOKEN)  # browsers send cookies with requests of other pages
    headers = {"X-Searcher-Token": token.encode("latin-1")} if token else {}
    answer = client.request(method, "/api/search", headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 403
    assert "X-Searcher-Token" in answer.json()["error"]


def test_on_this_machine_reading_needs_no_token(client_for: Clients) -> None:
    client = client_for(token=False)
    assert client.get("/api/search").status_code == 200
    assert client.get("/api/images/1/thumbnail").status_code == 200


@pytest.mark.parametrize("path", ["/", "/static/page.js", "/api/search", "/api/images/1/original", "/api/openapi.json"])
def test_on_a_network_everything_needs_the_token(client_for: Clients, path: str) -> None:
    client = client_for("192.168.1.5:7532", token=False, loopback=False)
    for headers in ({}, {"X-Searcher-Token": "wrong"}, {"Cookie": f"{security.Access(TOKEN).cookie}=wrong"}):
        assert client.get(path, headers=headers).status_code == 401
    assert client.get(f"{path}?token=wrong").status_code == 401
    assert client.get(path, headers={"X-Searcher-Token": TOKEN}).status_code in (200, 404)


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "Via"])
def test_who_comes_through_a_proxy_is_not_on_this_machine(client_for: Clients, header: str) -> None:
    for options in ({"base": "/photos"}, {"hosts": ("photos.example",)}):  # there is a proxy, which may tell nothing
        assert client_for(token=False, **options).get("/api/search").status_code == 401
    client = client_for(token=False)
    assert client.get("/api/search", headers={header: "192.0.2.7"}).status_code == 401


def test_the_printed_link_sets_a_cookie_that_only_this_server_gets(client_for: Clients) -> None:
    client = client_for("192.168.1.5:7532", token=False, loopback=False, base="/photos")
    answer = client.get(f"/photos/?token={TOKEN}", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/photos/")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and "path=/photos/" in cookie
    assert client.get("/photos/api/search").status_code == 200  # the client keeps the cookie
    assert client.post("/photos/api/search", files={"picture": picture()}).status_code == 403


def test_a_link_in_a_message_leads_to_the_page_without_a_redirect(client_for: Clients) -> None:
    client = client_for("192.168.1.5:7532", token=False, loopback=False)
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    answer = client.get(f"/?token={TOKEN}", headers=headers, follow_redirects=False)
    assert answer.status_code == 200
    assert 'http-equiv="refresh"' in answer.text and TOKEN not in answer.text


# paths


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/..%5capp.py",
        "/static/%00",
        "/api/images/..%2f..%2fetc%2fpasswd/original",
        "/api/images/1%2f..%2f2/original",
        "/api/images/-1/original",
        "/api/images/99999999999999999999/original",
        "/api/images/1/thumbnail/../../../../etc/passwd",
    ],
)
def test_no_path_leaves_the_page_or_the_library(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (400, 404)
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize("like", ["/etc/passwd", "../photos/red.png", "id:1x", "upload:", "id:", "file:///etc/passwd"])
def test_a_search_reads_no_file_that_a_request_names(client: TestClient, like: str, kept_album: Album) -> None:
    for name in (like, str(kept_album.folder / "red.png")):
        assert client.get("/api/search", params={"like": name}).status_code in (400, 404)


# answers


@pytest.mark.parametrize("path", ["/api/search", "/api/nothing", "/api/images/1/original", "/static/nothing"])
def test_every_answer_has_the_headers_that_keep_it_from_running(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]


def test_a_file_that_became_html_or_svg_is_never_served_as_such(own_client: TestClient, album: Album) -> None:
    for content in (b"<html><script>alert(1)</script>", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"):
        (album.folder / "red.png").write_bytes(content)
        answer = own_client.get("/api/images/1/original")
        assert answer.headers["content-type"] in ("image/png", "application/octet-stream")
        assert answer.headers["x-content-type-options"] == "nosniff"


# sizes and hostile files


def test_a_body_that_is_too_large_is_refused_before_it_is_read(client: TestClient) -> None:
    answer = client.post("/api/search", headers={"Content-Length": str(10**12), "Content-Type": "multipart/form-data"})
    assert answer.status_code == 413


def test_a_body_without_a_length_is_cut_off(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "MAX_UPLOAD_BYTES", 100_000)

    def chunks() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * 50_000

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = client.post("/api/search", content=chunks(), headers=headers)
    assert answer.status_code == 413


def test_a_body_that_does_not_arrive_in_time_is_given_up(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "BODY_SECONDS", 0.0)
    assert client.post("/api/search", files={"picture": picture()}).status_code == 408


def png_bomb() -> bytes:
    """A PNG of 40,000 × 40,000 pixels in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 100_000))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a",
        b"\x89PNG\r\n\x1a\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
        b"<html></html>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n(/etc/passwd) (r) file",
        png_bomb(),
        picture()[:60],
    ],
    ids=["empty", "cut", "cut-png", "svg", "html", "postscript", "bomb", "half"],
)
def test_a_hostile_picture_is_refused_in_one_line(client: TestClient, data: bytes) -> None:
    answer = client.post("/api/search", files={"picture": ("../../x.php", data, "image/png")})
    assert answer.status_code == 400
    assert "\n" not in answer.json()["error"]
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "multipart/form-data"),
        (b"--x\r\n", "multipart/form-data; boundary=x"),
        (b"nonsense", "multipart/form-data; boundary=x"),
        (b"{}", "application/json"),
        (b"q=x", "application/x-www-form-urlencoded"),
        (b"--x\r\nContent-Disposition: form-data\r\n\r\nx\r\n--x--\r\n", "multipart/form-data; boundary=x"),
    ],
)
def test_a_form_that_cannot_be_read_is_refused_in_one_line(client: TestClient, content: bytes, kind: str) -> None:
    answer = client.post("/api/search", content=content, headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert "\n" not in answer.json()["error"]


def test_a_form_has_few_parts(client: TestClient) -> None:
    many = [("q", (None, "red"))] * 2000
    assert client.post("/api/search", files=[*many, ("picture", picture())]).status_code == 400
    assert client.post("/api/search", files=[("picture", picture())] * 3).status_code == 400
    assert client.post("/api/search", files={"picture": picture()}, data={"q": "x" * 5000}).status_code == 400


def test_an_uploaded_picture_is_never_on_the_disk(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a file was made")

    monkeypatch.setattr("tempfile.SpooledTemporaryFile.rollover", refuse)
    monkeypatch.setattr("tempfile.mkstemp", refuse)
    file = io.BytesIO()
    Image.frombytes("RGB", (700, 700), os.urandom(3 * 700 * 700)).save(
        file, "PNG"
    )  # more than starlette keeps in memory
    assert len(file.getvalue()) > 2**20
    assert client.post("/api/search", files={"picture": file.getvalue()}).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "q=" + "x" * 501,
        "&".join(["q=x"] * 33),
        "&".join(f"like=id:{number}" for number in range(1, 20)) + "&" + "&".join(["q=x"] * 20),
        "limit=501",
        "limit=0",
        "offset=-1",
        "offset=99999999999999999999",
        "min_relevance=2",
        "min_relevance=nan",
        "q=5000:red",
        "rating=9",
        "near=91,0,1",
        "after=yesterday",
        "format=exe",
        "orientation=up",
        "source=god",
        "name=a/b",
        "sort=size",
        "sort=relevance",
        "min_pixels=0",
    ],
)
def test_a_value_out_of_bounds_is_refused_in_one_line(client: TestClient, query: str) -> None:
    answer = client.get(f"/api/search?{query}")
    assert answer.status_code == 400, answer.text
    assert set(answer.json()) == {"error"} and "\n" not in answer.json()["error"]


def test_a_bug_is_one_line_for_the_client(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret\nof the inside")

    monkeypatch.setattr(Library, "photo", broken)
    answer = client.get("/api/images/1")
    assert answer.status_code == 500
    assert "secret" not in answer.text and "Traceback" not in answer.text
