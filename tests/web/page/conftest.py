"""The page in a browser: one server and one Chromium for all tests, a new window for each."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.programs import needs
from tests.web.page.photos import draw_some, make

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
SCREENSHOTS = "SEARCHER_SCREENSHOTS"  # a folder where the tests leave what they have seen


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = needs("chromium", "chromium-browser", "google-chrome")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, and a folder with more that are not indexed yet."""
    folder = tmp_path_factory.mktemp("page")
    make(folder / "photos")
    draw_some(folder / "photos" / "drawn", 12)
    draw_some(folder / "more", 6, 200)
    return folder


@pytest.fixture(scope="session")
def address(browser: Browser, home: Path) -> Iterator[str]:
    """A server of two libraries: `photos-library`, and `empty-library`, which does not exist yet."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SEARCHER")}
    environment |= {"PYTHONPATH": str(Path(__file__).parents[3]), "PYTHONUTF8": "1", "HOME": str(home)}
    program = [sys.executable, "-m", "searcher"]
    library = home / "photos-library"
    subprocess.run([*program, "index", "--library", library, home / "photos"], env=environment, check=True, cwd=home)
    options = ["--no-open", "--port=0", f"--library={library}", f"--library={home / 'empty-library'}"]
    with subprocess.Popen(
        [*program, "serve", *options], env=environment, cwd=home, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        assert "http://" in line, line
        yield line.split()[-1]
        server.terminate()


@pytest.fixture
def open_page(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Opens a new window at a URL of the page. Errors of its scripts fail the test."""
    errors: list[str] = []
    contexts = []

    def open_(url: str = "", theme: str = "light", screen: dict[str, Any] = DESK) -> Page:
        context = browser.new_context(
            color_scheme="dark" if theme == "dark" else "light",
            reduced_motion="reduce",
            permissions=["clipboard-read", "clipboard-write"],
            **screen,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: errors.append(line.text) if "Content Security" in line.text else None)
        page.goto(address + url)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not errors


@pytest.fixture(scope="session")
def keep_screenshot(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Page, str], None]:
    folder = Path(os.environ.get(SCREENSHOTS) or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)

    def keep(page: Page, name: str) -> None:
        page.screenshot(path=folder / f"{name}.png")

    return keep
