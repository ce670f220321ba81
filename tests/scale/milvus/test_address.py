"""Addresses of libraries in Milvus: each form is read, and no message or text shows a secret."""

from pathlib import Path

import pytest

from searcher.errors import InvalidInput
from searcher.scale.milvus.address import Address, is_address, read_address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("milvus://db/photos", Address("http://db:19530", "photos")),
        ("milvus://db:1234/my_photos", Address("http://db:1234", "my_photos")),
        ("milvus+tls://db:443/photos?token=abc", Address("https://db:443", "photos", "abc")),
        ("milvus://ann:s%40cret@db/photos", Address("http://db:19530", "photos", "ann:s@cret")),
        (
            "milvus://[::1]:1/p?secure=true&ca=/etc/ca.pem&database=d",
            Address("https://[::1]:1", "p", ca="/etc/ca.pem", database="d"),
        ),
        ("milvus:///data/my%20photos.db/photos", Address("/data/my photos.db", "photos")),
        ("milvus:/data/a.db/photos", Address("/data/a.db", "photos")),
    ],
)
def test_each_form_of_an_address_is_read(text: str, expected: Address) -> None:
    assert is_address(text)
    assert read_address(text) == expected
    assert read_address(str(expected)).collection == expected.collection


def test_a_file_of_milvus_lite_can_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_address("milvus:a.db/photos") == Address(str(tmp_path / "a.db"), "photos")
    assert not is_address("milvus") and not is_address("/photos/milvus:")


def test_a_token_comes_from_the_environment_unless_the_address_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCHER_MILVUS_TOKEN", "from-environment")
    assert read_address("milvus://db/photos").token == "from-environment"
    assert read_address("milvus://db/photos?token=mine").token == "mine"


@pytest.mark.parametrize(
    "text",
    [
        "milvus://ann:secret@db",
        "milvus://ann:secret@db/my-photos",
        "milvus://ann:secret@db/a/b",
        "milvus://ann:secret@db:port/photos",
        "milvus://ann:secret@db/photos?tls=1",
        "milvus://db/photos?token=secret&secure=maybe",
        "milvus:photos",
        "milvus:/data/photos.sqlite/photos",
        "milvus:///",
    ],
)
def test_a_wrong_address_is_one_line_without_the_password(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_address(text)
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_an_address_is_shown_without_its_secrets() -> None:
    address = read_address("milvus+tls://ann:secret@db/photos?token=hidden")
    assert str(address) == "milvus+tls://db:19530/photos"
    assert "secret" not in repr(address) and "hidden" not in repr(address)
