"""Reads the metadata inside a photo file: EXIF, XMP and IPTC."""

from dataclasses import replace
from typing import TYPE_CHECKING

from searcher.photos.exif import read_exif, read_last_change
from searcher.photos.iptc import read_iptc
from searcher.photos.metadata import Metadata, joined
from searcher.photos.xmp import read_xmp

if TYPE_CHECKING:
    from PIL import Image


def read_metadata(image: "Image.Image") -> Metadata:
    """Read the metadata of an open image. Never raises. A missing or invalid field is None.

    What a camera writes is taken from EXIF first, and what people write from XMP first. The keywords of all sources
    count. EXIF's date of the last change is taken only if there is no other date.
    """
    exif, xmp, iptc = read_exif(image), read_xmp(image), read_iptc(image)
    found = joined([exif, xmp, iptc, read_last_change(image)])
    people = xmp.over(iptc).over(exif)
    return replace(found, rating=people.rating, description=people.description)
