"""What `searcher search` answers to queries that nobody should type, with the built-in model."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from searcher import Library
from searcher.commands import main
from tests.pictures import draw


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A library of three pictures. No test changes it."""
    folder = tmp_path_factory.mktemp("odd")
    (folder / "photos").mkdir()
    for number in range(3):
        draw(folder / "photos" / f"{number}.jpg", number)
    with Library.open(folder / "library", create=True) as made:
        made.index(folder / "photos")
    yield folder / "library"


def search(library: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["search", *arguments, "--library", str(library)])


# hits: None for wrong usage
@pytest.mark.parametrize(
    ("arguments", "hits", "message"),
    [
        (["cat", "--after", "2021-02-30"], None, "'2021-02-30' is not a date"),
        (["cat", "--after", "tomorrow"], None, "'tomorrow' is not a date"),
        (["cat", "--before", "0000"], None, "'0000' is not a date"),
        (["cat", "--after", "2021", "--before", "2021"], None, "No photo is both"),
        (["0:cat"], None, "more than 0, and at most 1000, not 0"),
        (["5000:cat"], None, "more than 0, and at most 1000, not 5000"),
        (["cat", "--and", " "], None, "A description is empty"),
        (["cat", "--min-pixels", "-5"], None, "'-5' is not a number of pixels"),
        (["cat", "--top", "0"], None, "not in the range"),
        (["   "], None, "Say what to search for"),
        (["cat", "--after", "9999"], 0, "No photo meets all of the conditions."),
        (["cat", "--orientation", "square", "--format", "raw"], 0, "No photo meets all of the conditions."),
        (["cat", "--camera", "🐱"], 0, "No photo meets all of the conditions."),
        (["cat", "--min-pixels", "999999999999999999"], 0, "No photo meets all of the conditions."),
        (["cat", "--min-relevance", "1"], 0, "No"),
        (["cat", "--top", "1000000"], 3, ""),
        (["cat", "--top", "1000000", "--diverse"], 3, ""),
        (["cat", "--top", "99999999999999999999"], 3, ""),
        (["--top", "1000000", "--format", "jpg"], 3, ""),
        (["cat " * 2500], 3, "only its beginning counts"),
        (["x" * 10_000], 3, ""),
        (["قطة " * 2500], 3, "has letters of another script"),
        (["...?!"], 3, "Nothing seems to match “...?!”"),
        (["قطة على أريكة"], 3, "has letters of another script"),
        (["🐱"], 3, "Nothing seems to match “🐱”"),
        (["cat\ndog\x1b[31m"], 3, ""),
        (["\udcff\udcfe"], 3, ""),
        (["cat", "--not", "cat"], 3, ""),
    ],
)
def test_an_odd_query_gets_hits_or_short_lines(
    library: Path, arguments: list[str], hits: int | None, message: str
) -> None:
    done = search(library, *arguments)
    assert done.exit_code == (2 if hits is None else 0), done.output
    assert len(done.stdout.splitlines()) == (hits or 0)
    said = done.stderr.splitlines()
    assert message in done.stderr and len(said) <= (3 if hits else 1)
    assert all(len(line) < 350 and "\x1b[31m" not in line for line in said)
