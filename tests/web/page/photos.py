"""Photos for the page: the samples with dates, cameras and places, and some that are special."""

from pathlib import Path

from PIL import Image

from searcher.datasets.samples import sample_photos
from tests.pictures import draw

CAMERAS = (("Canon", "Canon EOS R6"), ("Apple", "iPhone 12"), ("NIKON CORPORATION", "NIKON D750"))
PARIS, SYDNEY = (48.8583, 2.2945), (-33.8568, 151.2153)
_MAKE, _MODEL, _EXIF, _TAKEN, _GPS, _ORIENTATION = 0x010F, 0x0110, 0x8769, 0x9003, 0x8825, 0x0112


def exif(taken: str, camera: tuple[str, str], place: tuple[float, float] | None = None) -> Image.Exif:
    """taken: YYYY:MM:DD HH:MM:SS. place: latitude and longitude in degrees."""
    made = Image.Exif()
    made[_MAKE], made[_MODEL] = camera
    made.get_ifd(_EXIF)[_TAKEN] = taken
    if place is not None:
        latitude, longitude = place
        made.get_ifd(_GPS).update(
            {1: "N" if latitude >= 0 else "S", 2: _degrees(latitude), 3: "E" if longitude >= 0 else "W"}
        )
        made.get_ifd(_GPS)[4] = _degrees(longitude)
    return made


def _degrees(value: float) -> tuple[float, float, float]:
    minutes = abs(value) % 1 * 60
    return float(int(abs(value))), float(int(minutes)), round(minutes % 1 * 60, 3)


def make(folder: Path) -> None:
    """18 samples of 2018 to 2023, a small copy of one, a TIFF, and a file that is no photo."""
    folder.mkdir(parents=True)
    for number, source in enumerate(sample_photos()):
        with Image.open(source) as file:
            image = file.convert("RGB")
        taken = f"{2018 + number % 6}:{1 + number % 12:02}:{1 + number:02} 12:00:00"
        place = (None, PARIS, SYDNEY)[number % 3]
        image.save(folder / f"{source.stem}.jpg", quality=88, exif=exif(taken, CAMERAS[number % 3], place))
        if source.stem == "coffee":
            image.resize((300, 200)).save(folder / "coffee-small.jpg", quality=85)
    with Image.open(folder / "rocket.jpg") as file:
        turned = file.transpose(Image.Transpose.ROTATE_90)
    flag = Image.Exif()
    flag[_ORIENTATION] = 6
    turned.save(folder / "turned.tif", exif=flag)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 this is no photo")


def draw_some(folder: Path, count: int, first: int = 100) -> None:
    """Pictures of colours alone, without dates."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        draw(folder / f"drawn{number}.jpg", number, ((320, 240), (240, 320), (400, 200))[number % 3])
