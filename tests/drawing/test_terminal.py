"""Pictures in a terminal: the bytes are decoded again, as a terminal would."""

import io
import re
import subprocess
from base64 import standard_b64decode
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from searcher.datasets.samples import sample_photos
from searcher.drawing.terminal import Protocol, iterm2, kitty, protocol_of, says_sixel, shown_with, sixel
from tests.programs import needs

SIZES = [(240, 160), (1, 1), (7, 13), (300, 6), (5, 200)]


def photo(size: tuple[int, int]) -> Image.Image:
    with Image.open(sample_photos()[0]) as image:
        return image.convert("RGB").resize(size)


def decoded_sixel(data: bytes) -> np.ndarray:
    """The pixels of a sixel picture, RGB in uint8. Pixels that were not drawn have 255, 0, 255."""
    found = re.fullmatch(rb'\x1bP[\d;]*q"1;1;(\d+);(\d+)(.*)\x1b\\', data, re.DOTALL)
    assert found is not None
    picture = np.full((int(found[2]), int(found[1]), 3), (255, 0, 255), np.uint8)
    colours: dict[int, tuple[int, ...]] = {}
    top = column = colour = 0
    for number, red, green, blue, count, letter in re.findall(
        rb"#(\d+)(?:;2;(\d+);(\d+);(\d+))?|(?:!(\d+))?([?-~$-])", found[3]
    ):
        if number and red:
            colours[int(number)] = tuple(round(int(value) * 255 / 100) for value in (red, green, blue))
        elif number:
            colour = int(number)
        elif letter == b"$":
            column = 0
        elif letter == b"-":
            top, column = top + 6, 0
        else:
            bits = letter[0] - 63
            for bit in [bit for bit in range(6) if bits >> bit & 1]:
                picture[top + bit, column : column + int(count or 1)] = colours[colour]
            column += int(count or 1)
    return picture


@pytest.mark.parametrize("size", SIZES)
def test_a_sixel_picture_looks_like_the_image_and_has_its_size(size: tuple[int, int]) -> None:
    image = photo(size)
    seen = decoded_sixel(sixel(image))
    assert seen.shape == (size[1], size[0], 3)
    assert np.abs(seen.astype(int) - np.asarray(image)).mean() < 6


def test_another_program_reads_the_sixel_picture(tmp_path: Path) -> None:
    convert = needs("convert")
    image = photo((240, 160))
    (tmp_path / "picture.six").write_bytes(sixel(image))
    subprocess.run([convert, f"sixel:{tmp_path / 'picture.six'}", tmp_path / "picture.png"], check=True, timeout=60)
    with Image.open(tmp_path / "picture.png") as read:
        assert read.size == image.size
        assert np.abs(np.asarray(read.convert("RGB")).astype(int) - np.asarray(image)).mean() < 6


@pytest.mark.parametrize("size", SIZES)
def test_kitty_gets_the_image_in_chunks_and_is_asked_for_no_answer(size: tuple[int, int]) -> None:
    image = photo(size)
    commands = re.findall(rb"\x1b_G([^;]*);([^\x1b]*)\x1b\\", kitty(image))
    assert b"".join(b"\x1b_G%s;%s\x1b\\" % command for command in commands) == kitty(image)
    assert commands[0][0].startswith(b"a=T,f=100,q=2,m=")
    assert [control[-1:] for control, _ in commands] == [b"1"] * (len(commands) - 1) + [b"0"]
    assert all(len(data) <= 4096 and len(data) % 4 == 0 for _, data in commands)
    with Image.open(io.BytesIO(standard_b64decode(b"".join(data for _, data in commands)))) as read:
        assert read.format == "PNG"
        assert np.array_equal(np.asarray(read), np.asarray(image))


def test_iterm2_gets_the_image_with_its_size_and_height() -> None:
    image = photo((240, 160))
    found = re.fullmatch(
        rb"\x1b]1337;File=inline=1;size=(\d+);height=8;preserveAspectRatio=1:(.*)\x07", iterm2(image, 8)
    )
    assert found is not None
    data = standard_b64decode(found[2])
    assert len(data) == int(found[1])
    with Image.open(io.BytesIO(data)) as read:
        assert np.array_equal(np.asarray(read), np.asarray(image))


def test_each_protocol_has_its_encoder() -> None:
    image = photo((24, 16))
    starts: dict[Protocol, bytes] = {"kitty": b"\x1b_G", "iterm2": b"\x1b]1337;", "sixel": b"\x1bP"}
    for protocol, start in starts.items():
        assert shown_with(protocol, image, 2).startswith(start)


@pytest.mark.parametrize(
    ("environment", "protocol"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-ghostty", "TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm2"),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, "iterm2"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "iterm2"),
        ({"TERM": "mlterm"}, "sixel"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "vscode"}, None),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/tmux,1,0", "KITTY_WINDOW_ID": "1"}, None),
        ({"TERM": "screen", "TERM_PROGRAM": "iTerm.app"}, None),
        ({}, None),
    ],
)
def test_the_environment_says_which_protocol_a_terminal_knows(
    environment: dict[str, str], protocol: Protocol | None
) -> None:
    assert protocol_of(environment) == protocol


def test_the_answer_of_a_terminal_says_whether_it_knows_sixel() -> None:
    assert says_sixel(b"\x1b[?62;4;6;22c")
    assert says_sixel(b"typed\x1b[?64;1;4c")
    assert not any(says_sixel(answer) for answer in (b"", b"\x1b[?4;1;2c", b"\x1b[?62;14;22c", b"\x1b[?62;4"))
