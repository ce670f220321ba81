"""What tests look for on the page: the names that screen readers use, too."""

import re

from playwright.sync_api import Locator, Page, expect


def hits(page: Page) -> Locator:
    return page.get_by_role("list", name="Photos", exact=True).locator("[data-image-id]")


def hit(page: Page, name: str) -> Locator:
    return page.get_by_role("link", name=begins(name))


def begins(name: str) -> re.Pattern[str]:
    return re.compile(rf"^{re.escape(name)}\b")


def count_is(page: Page, text: str) -> None:
    expect(page.locator(".count")).to_have_text(text)


def search(page: Page, text: str) -> None:
    page.get_by_role("searchbox").fill(text)


def wait_for_pictures(page: Page) -> None:
    expect(page.locator(".tile img:not(.there)")).to_have_count(0)
