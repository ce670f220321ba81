"""The panel of filters."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.web.page.hooks import count_is, hits


def test_dates_are_chosen_on_the_histogram_or_typed(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.get_by_role("button", name="Filters").click()
    bars = page.locator(".bars")
    box = bars.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 1, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 3, box["y"] + 30)
    page.mouse.up()
    page.wait_for_url("**after=2018-01*")
    expect(page.get_by_role("button", name="Remove the filter: from 2018-01")).to_be_visible()
    page.get_by_role("button", name="Clear all").click()
    page.get_by_label("From", exact=True).fill("2023-01-01")
    page.keyboard.press("Tab")
    count_is(page, "3 photos")


def test_camera_folder_format_and_size_narrow_the_photos(open_page: Callable[..., Page]) -> None:
    page = open_page("?panel=filters")
    page.get_by_role("button", name="iPhone").click()
    count_is(page, "6 photos")
    page.get_by_role("button", name="Remove the filter: Apple iPhone 12").click()
    page.get_by_role("button", name="TIFF").click()
    count_is(page, "1 photo")
    page.get_by_role("button", name="TIFF").and_(page.locator("[aria-pressed=true]")).click()
    page.get_by_role("button", name="photos / drawn").click()
    count_is(page, "12 photos")
    page.get_by_role("combobox", name="Shape").select_option("portrait")
    count_is(page, "4 photos")
    page.get_by_role("button", name="Clear all").click()
    count_is(page, "32 photos")


def test_a_place_is_chosen_on_the_map(open_page: Callable[..., Page]) -> None:
    page = open_page("?panel=filters")
    canvas = page.locator(".map")
    expect(page.get_by_text("12 photos with a place")).to_be_visible()
    box = canvas.bounding_box()
    assert box is not None
    # Paris and Sydney are at the edges of what the map shows first.
    at = page.evaluate("""() => {
      const canvas = document.querySelector(".map");
      const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      for (let at = 0; at < data.length; at += 4) {
        if (data[at + 2] - data[at] > 60) return [(at / 4) % canvas.width, Math.floor(at / 4 / canvas.width)];
      }
    }""")
    canvas.click(position={"x": at[0], "y": at[1] + 2})
    count_is(page, "6 photos")
    expect(page.get_by_role("button", name="Remove the filter: within")).to_be_visible()
    page.get_by_role("button", name="Any place").click()
    count_is(page, "32 photos")


def test_hits_of_a_search_can_be_put_in_order_of_time(open_page: Callable[..., Page]) -> None:
    page = open_page("?q=a+cat")
    count_is(page, "1 photo")
    page.get_by_role("combobox", name="Order").select_option("Newest first")
    page.wait_for_url("**sort=time*")
    expect(hits(page).first).to_be_visible()
    page.go_back()
    expect(page.get_by_role("combobox", name="Order")).to_have_value("relevance")
