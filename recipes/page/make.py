"""Draw docs/page.webp, the picture of the page in the README.

    python recipes/page/make.py

Needs the extras `demo` and `test`, and Chromium. All photos are in the public domain or CC0. They are the samples of
searcher/models/samples, whose README names their sources, as large as scikit-image ships them, and details of them.
"""

import io
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

CHECKOUT = Path(__file__).parents[2]
FREE = ("astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "moon.png", "retina.jpg", "rocket.jpg")
MOST_BYTES = 300_000


def photos(folder: Path) -> None:
    """The photos, and three details of the wide ones, with years."""
    spec = find_spec("skimage")
    assert spec is not None and spec.submodule_search_locations
    source = Path(spec.submodule_search_locations[0]) / "data"
    for number, name in enumerate(FREE):
        with Image.open(source / name) as file:
            image = file.convert("RGB")
        w, h = image.size
        parts = [image, image.crop((0, 0, w * 3 // 5, h)), image.crop((w // 4, h // 6, w, h))]
        for part, piece in enumerate(parts):
            exif = Image.Exif()
            exif.get_ifd(0x8769)[0x9003] = f"{2024 - part}:{9 - number % 3:02}:{20 - number:02} 12:00:00"
            piece.save(folder / f"{Path(name).stem}{part or ''}.jpg", quality=92, exif=exif)


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "Pictures"
        folder.mkdir()
        photos(folder)
        program, library = [sys.executable, "-m", "searcher"], str(Path(temporary) / "library")
        subprocess.run([*program, "index", "--library", library, folder], check=True, cwd=CHECKOUT)
        serve = [*program, "serve", "--no-open", "--port", "0", "--library", library]
        with (
            subprocess.Popen(serve, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as server,
            sync_playwright() as playwright,
        ):
            assert server.stdout is not None
            address = server.stdout.readline().split()[-1]
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 760})
            page.goto(address + "?q=a+cup+of+coffee")
            page.locator(".divider").wait_for()
            page.locator(".tile img:not(.there)").first.wait_for(state="detached")
            page.wait_for_timeout(500)
            picture = page.screenshot()
            server.terminate()
    target = CHECKOUT / "docs" / "page.webp"
    Image.open(io.BytesIO(picture)).save(target, quality=82, method=6)
    assert target.stat().st_size <= MOST_BYTES, f"{target} has {target.stat().st_size:,} bytes"


if __name__ == "__main__":
    main()
