import shutil
from collections.abc import Callable
from pathlib import Path

from tests.e2e.conftest import Program


def test_duplicates_are_listed_and_drawn_and_no_file_is_touched(
    program: Program, photos: Callable[..., Path], tmp_path: Path
) -> None:
    folder, sheet = photos(3), tmp_path / "sheet.png"
    assert program("index", folder).returncode == 0
    shutil.copy(folder / "000.jpg", folder / "copy.jpg")
    assert program("index", folder).returncode == 0
    expected = {"path": str(folder / "copy.jpg"), "similarity": 1.0}
    assert program.json("duplicates", "--sheet", sheet) == [
        {"kind": "exact", "keep": str(folder / "000.jpg"), "others": [expected]}
    ]
    assert sheet.is_file()
    assert len(list(folder.iterdir())) == 4
    assert "is not in the library" in program.fails("duplicates", "--in", tmp_path / "none", code=1)
