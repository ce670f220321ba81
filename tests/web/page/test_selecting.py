"""Select many photos, and what can be done with them."""

import zipfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.web.page.hooks import count_is, hit, hits


def select(page: Page, *names: str) -> None:
    for name in names:
        hit(page, name).hover()
        page.get_by_role("checkbox", name=f"Select {name}").click()
    expect(page.get_by_role("region", name="Selected photos")).to_contain_text(f"{len(names)} photo")


def test_click_shift_and_ctrl_a_select(open_page: Callable[..., Page]) -> None:
    page = open_page("?camera=iPhone")
    count_is(page, "6 photos")
    hits(page).nth(1).hover()
    page.get_by_role("checkbox").nth(1).click()
    hits(page).nth(4).click(modifiers=["Shift"])
    bar = page.get_by_role("region", name="Selected photos")
    expect(bar).to_contain_text("4 photos selected")
    page.keyboard.press("Control+a")
    expect(bar).to_contain_text("6 photos selected")
    page.keyboard.press("Escape")
    expect(bar).to_be_hidden()


def test_selected_photos_come_as_a_zip_and_their_paths_are_copied(open_page: Callable[..., Page], home: Path) -> None:
    page = open_page("?camera=Canon")
    select(page, "astronaut.jpg", "chelsea.jpg")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    with zipfile.ZipFile(download.value.path()) as file:
        assert sorted(file.namelist()) == ["astronaut.jpg", "chelsea.jpg"]
    page.get_by_role("button", name="Copy paths").click()
    expect(page.get_by_text("2 paths copied.")).to_be_visible()
    paths = page.evaluate("navigator.clipboard.readText()").splitlines()
    assert paths == [str(home / "photos" / name) for name in ("astronaut.jpg", "chelsea.jpg")]


def test_selected_photos_are_labelled_and_written_to_sidecars(open_page: Callable[..., Page], home: Path) -> None:
    page = open_page("?camera=Canon")
    select(page, "retina.jpg", "moon.jpg")
    page.get_by_role("button", name="Label", exact=True).click()
    page.get_by_role("combobox", name="Label").fill("round")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("“round” is added to 2 photos.")).to_be_visible()
    page.get_by_role("button", name="Write XMP").click()
    page.get_by_role("button", name="Write", exact=True).click()
    expect(page.get_by_text("2 sidecars written")).to_be_visible()
    sidecars = list((home / "photos").glob("*.xmp"))
    assert len(sidecars) == 2
    assert all("round" in sidecar.read_text() for sidecar in sidecars)
    for sidecar in sidecars:
        sidecar.unlink()
    page.get_by_role("button", name="Label", exact=True).click()
    page.get_by_role("combobox", name="Label").fill("round")
    page.get_by_role("radio", name="Remove it").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("“round” is removed from 2 photos.")).to_be_visible()


def test_a_label_is_taught_from_the_selection_and_shows_its_examples(open_page: Callable[..., Page]) -> None:
    page = open_page("?name=coffee*")
    select(page, "coffee.jpg", "coffee-small.jpg")
    page.get_by_role("button", name="Teach").click()
    page.get_by_role("combobox", name="Label, such as").fill("my cup")
    page.get_by_role("dialog").get_by_role("button", name="Teach").click()
    expect(page.get_by_text("“my cup” is taught from 2 examples")).to_be_visible(timeout=20_000)
    page.get_by_role("link", name="Labels").click()
    card = page.get_by_role("listitem").filter(has_text="my cup")
    expect(card).to_contain_text("taught from 2 photos")
    card.get_by_role("button", name="Examples").click()
    expect(page.get_by_role("dialog").get_by_role("img")).to_have_count(2)
    page.keyboard.press("Escape")
    card.get_by_role("button", name="Remove the label my cup").click()
    page.get_by_role("button", name="Remove", exact=True).last.click()
    expect(card).to_have_count(0)
