"""Pictures that searcher drew are recognised by their content. Photos are not taken for one."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from searcher.datasets.samples import sample_photos
from searcher.drawing.saving import save_picture
from searcher.photos.own import MARK, SUFFIXES, is_own_picture


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".JPG", ".WebP"])
@pytest.mark.parametrize("size", [(1, 1), (700, 500)])
def test_a_drawn_picture_is_recognised(tmp_path: Path, suffix: str, size: tuple[int, int]) -> None:
    path = tmp_path / f"sheet{suffix}"
    save_picture(noise(*size), path)
    assert is_own_picture(path)
    assert is_own_picture(path.rename(tmp_path / f"another name{suffix}"))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_photo_is_not_recognised(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"photo{suffix}"
    exif = Image.Exif()
    exif[0x0131] = "GIMP 2.10"
    noise(700, 500).save(path, exif=exif.tobytes())
    assert not is_own_picture(path)
    assert not any(is_own_picture(sample) for sample in sample_photos())


def test_what_is_not_a_readable_picture_is_not_recognised(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(MARK)
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "riff.webp").write_bytes(b"RIFF")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "absent.jpg")
    for path in [*tmp_path.iterdir(), tmp_path / "absent.png", Path("a\0b.png"), tmp_path / ("x" * 300 + ".png")]:
        assert not is_own_picture(path), path


def test_a_pipe_that_is_named_like_a_picture_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert not is_own_picture(tmp_path / "pipe.jpg")


def test_a_folder_or_pipe_leaves_no_file_open(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "file.jpg").write_bytes(b"x")
    before = os.dup(0)
    os.close(before)
    for path in tmp_path.iterdir():
        assert not is_own_picture(path)
    after = os.dup(0)
    os.close(after)
    assert after == before
