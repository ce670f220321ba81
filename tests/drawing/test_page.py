"""A contact sheet as a page: whole in one file, safe for any name, and never over a file that is not ours."""

import io
import os
from base64 import b64decode
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html
from PIL import Image

from searcher.datasets.samples import sample_photos
from searcher.drawing import page
from searcher.drawing.page import draw_page, save_sheet
from searcher.drawing.saving import check_target
from searcher.drawing.sheet import SheetCell, SheetRow
from searcher.errors import InvalidInput
from searcher.photos.own import is_own_picture

PHOTO = str(sample_photos()[0])


def row(title: str, *paths: str, caption: str = "80%") -> SheetRow:
    return SheetRow(title, [SheetCell(path, caption) for path in paths])


def found(text: str, path: str) -> list[str]:
    """The texts and attributes of a page that an XPath selects."""
    tree = html.fromstring(text.encode())  # raises if a surrogate is left
    selected = tree.xpath(path)
    assert isinstance(selected, list)
    return [str(each) for each in selected]


def test_a_page_holds_its_thumbnails_and_links_to_the_photos() -> None:
    text = draw_page([row("a cup", PHOTO, "/gone.jpg"), row("a unicorn")])
    pictures = []
    for source in found(text, "//img/@src"):
        head, _, data = source.partition(",")
        assert head == "data:image/webp;base64"
        with Image.open(io.BytesIO(b64decode(data))) as picture:
            pictures.append(picture.size)
    assert pictures == [(288, 216)] * 2
    assert [os.fsdecode(unquote_to_bytes(urlsplit(link).path)) for link in found(text, "//a/@href")] == [
        PHOTO,
        "/gone.jpg",
    ]
    assert found(text, "//h2/text()") == ["a cup", "a unicorn"]
    assert found(text, "//span[@class='name']/text()") == [Path(PHOTO).name, "gone.jpg"]
    assert found(text, "//span[@class='caption']/text()") == ["80%", "80%"]
    assert found(text, "//p/text()") == ["nothing found"]
    assert not found(text, "//script|//link|//iframe") and "http:" not in text and "https:" not in text


@given(st.binary(min_size=1, max_size=30) | st.text("<>&'\"\n\u202e é/", min_size=1).map(str.encode))
def test_no_name_adds_markup_and_each_link_holds_the_bytes_of_its_path(name: bytes) -> None:
    path = os.fsdecode(b"/" + name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "thumbnail", lambda path, picture: Image.new("RGB", (1, 1)))
        text = draw_page([row(path, path, caption=path)])
    tags = "html head meta meta meta meta title style body h2 ul li a img span span"
    assert " ".join(element.tag for element in html.fromstring(text.encode()).iter()) == tags
    (link,) = found(text, "//a/@href")
    assert unquote_to_bytes(urlsplit(link).path) == os.fsencode(path)


def test_further_photos_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MAX_PHOTOS", 3)
    text = draw_page([row("a", PHOTO, PHOTO), row("b", PHOTO, PHOTO), row("c", PHOTO)])
    assert found(text, "//h2/text()") == ["a", "b"]
    assert len(found(text, "//img")) == 3
    assert found(text, "//p/text()") == ["and 2 more"]


def test_a_page_replaces_only_another_page_of_searcher(tmp_path: Path) -> None:
    ours, other = tmp_path / "ours.html", tmp_path / "other.HTML"
    for title in ("one", "two"):
        check_target(ours, (".html",))
        save_sheet([row(title, PHOTO)], ours)
        assert f"<h2>{title}</h2>" in ours.read_text(encoding="utf-8")
    assert is_own_picture(ours)
    other.write_text("<p>Drawn by searcher")
    with pytest.raises(InvalidInput, match="was not drawn by searcher"):
        save_sheet([row("one", PHOTO)], other)
    assert other.read_text() == "<p>Drawn by searcher"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.HTML", "ours.html"]


def test_another_suffix_draws_a_picture(tmp_path: Path) -> None:
    save_sheet([row("a cup", PHOTO)], tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.format == "PNG"
