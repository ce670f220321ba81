"""One photo in full size: orientation, zoom, details, labels."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.web.page.hooks import hit, hits


def wait_until_sharp(page: Page) -> None:
    expect(page.locator(".stage.sharp")).to_be_visible()


def test_a_photo_opens_with_its_details_and_arrows_go_on(open_page: Callable[..., Page]) -> None:
    page = open_page("?q=a+motorcycle")
    hit(page, "motorcycle_left.jpg").click()
    viewer = page.get_by_role("dialog", name="motorcycle_left.jpg")
    expect(viewer).to_be_visible()
    wait_until_sharp(page)
    details = page.get_by_role("complementary", name="Details of the photo")
    for text in ("iPhone 12", "741 × 500", "JPEG"):
        expect(details).to_contain_text(text)
    expect(viewer).to_contain_text("1 of 32")
    page.keyboard.press("ArrowRight")
    expect(viewer).to_have_count(0)
    expect(page.get_by_role("dialog")).to_contain_text("2 of 32")
    page.keyboard.press("k")
    expect(viewer).to_be_visible()
    page.get_by_role("button", name="Close the photo").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(hits(page).first).to_be_focused()


def test_a_link_to_a_photo_that_is_elsewhere_by_now_finds_its_place(open_page: Callable[..., Page]) -> None:
    page = open_page("?q=a+motorcycle")
    hit(page, "motorcycle_left.jpg").click()
    expect(page.get_by_role("dialog")).to_contain_text("1 of 32")
    link = page.url
    for place in ("at=7", "at=99999", "at=-5", "at=abc"):
        page.goto(link.replace("at=0", place))
        expect(page.get_by_role("dialog", name="motorcycle_left.jpg")).to_contain_text("1 of 32")


def test_the_name_of_the_library_follows_the_history(open_page: Callable[..., Page]) -> None:
    page = open_page("?view=unknown")
    library = page.get_by_role("combobox", name="Library")
    expect(library).to_have_value("photos-library")
    expect(hits(page).first).to_be_visible()
    library.select_option("empty-library")
    page.wait_for_url("**library=empty-library*")
    page.go_back()
    expect(library).to_have_value("photos-library")


def test_a_tiff_is_shown_upright_as_a_preview(open_page: Callable[..., Page]) -> None:
    page = open_page("?name=turned.tif")
    hits(page).first.click()
    wait_until_sharp(page)
    assert page.locator(".full").evaluate("(one) => [one.naturalWidth, one.naturalHeight]") == [640, 427]
    assert "preview" in (page.locator(".full").get_attribute("src") or "")


def test_wheel_double_click_and_keys_zoom(open_page: Callable[..., Page]) -> None:
    page = open_page("?q=a+cat")
    hits(page).first.click()
    wait_until_sharp(page)
    stage = page.locator(".stage")

    def scaled(by: str) -> None:
        expect(page.locator(f".stage[style*='scale({by}']")).to_be_visible()

    stage.hover(position={"x": 300, "y": 300})
    page.mouse.wheel(0, -500)
    scaled("3.004")
    page.keyboard.press("0")
    scaled("1")
    stage.dblclick(position={"x": 300, "y": 300})
    scaled("3")
    page.keyboard.press("-")
    scaled("2")


def test_labels_are_added_and_removed_beside_the_photo(open_page: Callable[..., Page]) -> None:
    page = open_page("?q=a+cat")
    hits(page).first.click()
    page.get_by_role("textbox", name="Add a label").fill("Chelsea")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Chelsea", exact=True).click()
    expect(page.locator(".count")).to_have_text("1 photo")
    assert "tag=Chelsea" in page.url
    hits(page).first.click()
    page.get_by_role("button", name="Remove the label Chelsea").click()
    expect(page.get_by_role("button", name="Chelsea", exact=True)).to_have_count(0)


def test_the_path_can_be_copied_and_the_file_downloaded(open_page: Callable[..., Page], home: Path) -> None:
    page = open_page("?q=a+cat")
    hits(page).first.click()
    page.get_by_role("button", name="Copy path").click()
    expect(page.get_by_role("status").last).to_have_text("The path is copied.")
    assert page.evaluate("navigator.clipboard.readText()") == str(home / "photos" / "chelsea.jpg")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the file").click()
    assert download.value.suggested_filename == "chelsea.jpg"
    assert download.value.path().read_bytes() == (home / "photos" / "chelsea.jpg").read_bytes()
