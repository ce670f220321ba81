"""Type and see, search by picture, and the terms of a query."""

import base64
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.web.page.hooks import begins, count_is, hit, hits, search

DROP = """async ([name, data, event]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type: "image/jpeg" }));
  const options = { bubbles: true, cancelable: true };
  const pasted = new ClipboardEvent("paste", { ...options, clipboardData: transfer });
  if (event === "paste") document.body.dispatchEvent(pasted);
  else for (const one of ["dragenter", "dragover", "drop"]) {
    document.body.dispatchEvent(new DragEvent(one, { ...options, dataTransfer: transfer }));
  }
}"""


def give_picture(page: Page, photo: Path, event: str) -> None:
    page.evaluate(DROP, [photo.name, base64.b64encode(photo.read_bytes()).decode(), event])


def test_results_come_as_one_types_and_tell_likely_from_less_likely(open_page: Callable[..., Page]) -> None:
    page = open_page()
    count_is(page, "32 photos")
    expect(page.get_by_role("heading", name="2023")).to_be_visible()
    page.get_by_role("searchbox").press_sequentially("a cat", delay=30)
    count_is(page, "1 photo")
    expect(hits(page).first).to_have_accessible_name(begins("chelsea.jpg"))
    expect(page.get_by_role("heading", name="Less likely")).to_be_visible()
    assert "q=a+cat" in page.url
    assert page.title() == "a cat – searcher"


def test_a_search_for_what_is_not_there_says_so(open_page: Callable[..., Page]) -> None:
    page = open_page()
    search(page, "a submarine")
    count_is(page, "No photo fits")
    expect(page.get_by_role("heading", name="Nothing here shows “a submarine”")).to_be_visible()
    expect(page.get_by_role("heading", name="The closest photos")).to_be_visible()


def test_a_picture_can_be_dropped_pasted_or_picked(open_page: Callable[..., Page], home: Path) -> None:
    page = open_page()
    count_is(page, "32 photos")
    for way, name in (("drop", "astronaut.jpg"), ("paste", "motorcycle_left.jpg"), ("pick", "chelsea.jpg")):
        if way == "pick":
            with page.expect_file_chooser() as chooser:
                page.get_by_role("button", name="Search with a picture").click()
            chooser.value.set_files(home / "photos" / name)
        else:
            give_picture(page, home / "photos" / name, way)
        expect(hits(page).first).to_have_accessible_name(begins(name))
        expect(page.get_by_role("button", name="Edit like your picture")).to_be_visible()


def test_a_dropped_file_that_is_no_picture_is_explained(open_page: Callable[..., Page], home: Path) -> None:
    page = open_page()
    count_is(page, "32 photos")
    give_picture(page, home / "photos" / "broken.jpg", "drop")
    expect(page.get_by_role("alert").last).to_be_visible()
    count_is(page, "32 photos")


def test_more_and_less_like_a_hit_move_the_query_and_can_be_undone(open_page: Callable[..., Page]) -> None:
    page = open_page("?q=a+cat")
    count_is(page, "1 photo")
    hit(page, "chelsea.jpg").hover()
    page.get_by_role("button", name="More like this").click()
    expect(page.get_by_role("button", name="Edit like this photo")).to_be_visible()
    assert "like=id%3A" in page.url
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Edit like this photo")).to_have_count(0)
    hit(page, "chelsea.jpg").hover()
    page.get_by_role("button", name="Less like this").click()
    expect(page.get_by_role("button", name="Edit without like this photo")).to_be_visible()
    page.go_back()
    count_is(page, "1 photo")


def test_terms_can_be_added_weighted_negated_and_removed(open_page: Callable[..., Page]) -> None:
    page = open_page("?q=a+flower")
    page.get_by_role("button", name="without", exact=True).click()
    page.get_by_role("textbox", name="Without these words").fill("the sky")
    page.keyboard.press("Enter")
    page.wait_for_url("**not=the+sky*")
    page.get_by_role("button", name="Edit a flower").click()
    page.get_by_role("slider", name="Weight").press("ArrowRight")
    page.keyboard.press("Escape")
    page.wait_for_url("**q=1.5%3Aa+flower*")
    expect(page.get_by_role("searchbox")).to_have_value("a flower")
    page.get_by_role("button", name="Edit without the sky").click()
    page.get_by_role("combobox", name="Sign").select_option("with")
    page.get_by_role("button", name="Done").click()
    page.wait_for_url("**q=the+sky*")
    page.get_by_role("button", name="Remove the sky").click()
    expect(page.get_by_role("button", name="Edit the sky")).to_have_count(0)


def test_every_state_is_in_the_url_and_back_works(open_page: Callable[..., Page]) -> None:
    page = open_page()
    count_is(page, "32 photos")
    search(page, "a flower")
    expect(hits(page).first).to_have_accessible_name(begins("flower.jpg"))
    page.get_by_role("searchbox").press("Enter")
    hits(page).first.click()
    expect(page.get_by_role("dialog", name="flower.jpg")).to_be_visible()
    link = page.url
    page.go_back()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.go_back()
    count_is(page, "32 photos")
    expect(page.get_by_role("searchbox")).to_have_value("")
    page.goto(link)
    expect(page.get_by_role("dialog", name="flower.jpg")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("searchbox")).to_have_value("a flower")
