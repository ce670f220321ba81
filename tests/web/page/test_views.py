"""Labels, duplicates, folders, and a library without photos."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, Route, expect

from tests.pictures import draw
from tests.web.page.hooks import count_is, hits


def test_labels_are_found_in_the_library_and_lead_to_their_photos(open_page: Callable[..., Page]) -> None:
    page = open_page("?view=labels")
    page.get_by_role("textbox", name="Labels", exact=True).fill("cat, motorcycle")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("link", name="motorcycle, 1 photo")).to_be_visible(timeout=20_000)
    page.get_by_role("link", name="cat, 1 photo").click()
    count_is(page, "1 photo")
    assert "tag=cat" in page.url
    page.go_back()
    for label in ("cat", "motorcycle"):
        page.get_by_role("button", name=f"Remove the label {label}").click()
        page.get_by_role("button", name="Remove", exact=True).last.click()
        expect(page.get_by_role("link", name=f"{label}, 1 photo")).to_have_count(0)


def test_duplicates_are_side_by_side_with_the_one_to_keep(open_page: Callable[..., Page]) -> None:
    page = open_page("?view=duplicates")
    page.get_by_role("button", name="Find duplicates").or_(page.get_by_role("button", name="Look again")).click()
    expect(page.get_by_role("link", name="coffee.jpg, the one to keep")).to_be_visible(timeout=20_000)
    expect(page.get_by_role("link", name="coffee-small.jpg")).to_be_visible()
    page.get_by_role("link", name="coffee-small.jpg").click()
    expect(page.get_by_role("dialog", name="coffee-small.jpg")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="Duplicates")).to_be_visible()


def test_folders_show_counts_and_failures_with_reasons(open_page: Callable[..., Page], home: Path) -> None:
    page = open_page("?view=folders")
    row = page.get_by_role("listitem").filter(has_text=str(home / "photos"))
    expect(row).to_contain_text("1 file failed")
    page.get_by_text("1 file could not be read").click()
    expect(page.get_by_role("cell", name="truncated")).to_be_visible()
    row.get_by_role("button", name="Index").click()
    expect(page.get_by_text("Indexed: ")).to_be_visible(timeout=20_000)


def test_an_empty_library_says_how_to_begin_and_shows_photos_as_they_come(
    open_page: Callable[..., Page], home: Path, keep_screenshot: Callable[[Page, str], None]
) -> None:
    page = open_page("?library=empty-library")
    expect(page.get_by_role("heading", name="No photos yet")).to_be_visible()
    keep_screenshot(page, "empty")
    page.get_by_label("Where are your photos?").fill(str(home / "nowhere"))
    page.get_by_role("button", name="Index").click()
    expect(page.get_by_role("alert").last).to_contain_text("nowhere")
    page.get_by_label("Where are your photos?").fill(str(home / "more"))
    page.get_by_role("button", name="Index").click()
    count_is(page, "6 photos")
    expect(hits(page)).to_have_count(6)
    draw(home / "more" / "later.jpg", 999)
    other = open_page("?library=empty-library&view=folders")
    other.get_by_role("button", name="Index again", exact=True).click()
    count_is(page, "7 photos")  # the first window was not touched
    page.get_by_role("combobox", name="Library").select_option("photos-library")
    count_is(page, "32 photos")


def test_a_library_without_a_folder_offers_nothing_that_needs_one(open_page: Callable[..., Page]) -> None:
    page = open_page()
    expect(page.get_by_role("link", name="Duplicates")).to_be_visible()

    def as_in_milvus(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"has_folder": False, "bytes": None})

    page.route("**/api/status*", as_in_milvus)
    page.goto(page.url + "?view=folders")
    expect(page.get_by_role("heading", name="Folders")).to_be_visible()
    expect(page.get_by_role("link", name="Duplicates")).to_be_hidden()
    expect(page.get_by_role("button", name="Index", exact=True)).to_be_hidden()
    expect(page.get_by_role("button", name="Index again")).to_be_hidden()
    expect(page.get_by_text("Size of the library")).to_have_count(0)
