"""Writes a contact sheet as one HTML file: thumbnails inside it, links to the photos, no script, nothing to load."""

import io
import os
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from searcher.drawing.lettering import shown
from searcher.drawing.saving import save_page
from searcher.drawing.sheet import SheetCell, SheetRow, contact_sheet, thumbnail
from searcher.filters.uri import is_uri
from searcher.photos.own import PAGE_START, PAGE_SUFFIX

MAX_PHOTOS = 2000
"""Most photos on one page, about 30 MB. Further hits are counted but not shown."""

_QUALITY = 80
_STYLE = """
:root { color-scheme: light dark; --paper: #faf9f7; --ink: #1f1e1c; --grey: #6b675f; --mat: #eeece8 }
@media (prefers-color-scheme: dark) { :root { --paper: #1b1a19; --ink: #eceae6; --grey: #a29d95; --mat: #2a2927 } }
body { margin: 2rem; background: var(--paper); color: var(--ink); font: 15px/1.4 system-ui, sans-serif }
h2 { font-size: 1.5rem; font-weight: 500; margin: 2rem 0 1rem; overflow-wrap: anywhere }
ul { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(288px, 100%), 1fr)); gap: 20px; \
margin: 0; padding: 0; list-style: none }
a { display: block; color: inherit; text-decoration: none; border-radius: 8px }
a:hover .name, a:focus .name { text-decoration: underline }
img { display: block; width: 100%; aspect-ratio: 4 / 3; border-radius: 8px; background: var(--mat) }
.name { display: block; margin-top: 8px; overflow-wrap: anywhere }
.caption, p { color: var(--grey) }
"""


def save_sheet(rows: Sequence[SheetRow], path: Path) -> None:
    """Write `rows` as a page or as a picture, by the suffix of `path`, replacing one that searcher drew earlier.

    Raises SearcherError as `saving.save_page` and `saving.save_picture` do.
    """
    if path.suffix.lower() == PAGE_SUFFIX:
        save_page(draw_page(rows), path)
    else:
        contact_sheet(rows, path)


def draw_page(rows: Sequence[SheetRow]) -> str:
    """The HTML of a contact sheet. Names are escaped, and undecodable bytes are shown as "�"."""
    title = escape(shown(", ".join(row.title for row in rows[:3]))) or "Photos"
    parts = [
        PAGE_START,
        '<meta name="viewport" content="width=device-width">\n',
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">\n",
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n",
    ]
    left = MAX_PHOTOS
    for row in rows:
        cells = row.cells[: max(left, 0)]
        left -= len(row.cells)
        if not cells and row.cells:
            continue
        parts.append(f"<h2>{escape(shown(row.title))}</h2>\n")
        items = "".join(map(_item, cells))
        parts.append(f"<ul>\n{items}</ul>\n" if items else "<p>nothing found</p>\n")
    if left < 0:
        parts.append(f"<p>and {-left:,} more</p>\n")
    return "".join(parts)


def _item(cell: SheetCell) -> str:
    name = escape(shown(Path(cell.path).name))
    caption = f'<span class="caption">{escape(shown(cell.caption))}</span>'
    image = f'<img src="{_data_uri(thumbnail(cell.path, cell.picture))}" alt="">'
    link = "" if is_uri(cell.path) else f' href="file://{quote(os.fsencode(cell.path))}"'
    return f'<li><a{link}>{image}<span class="name">{name}</span>{caption}</a></li>\n'


def _data_uri(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=_QUALITY)
    return f"data:image/webp;base64,{b64encode(file.getvalue()).decode()}"
