"""How `searcher search` reads its conditions, and prints its hits."""

import pytest
from click.testing import CliRunner

from searcher import Hit
from searcher.commands import main
from searcher.commands.hits import show_hits


def hit(rank: int, path: str, score: float, copies: tuple[str, ...] = ()) -> Hit:
    return Hit(rank, rank, path, copies, score, None, None, ())


def test_each_hit_is_one_aligned_line_with_the_number_of_other_paths(capsys: pytest.CaptureFixture[str]) -> None:
    hits = [hit(rank, f"/photos/{rank}.jpg", 0.4 - rank / 100) for rank in range(1, 11)]
    hits[1] = hit(2, "/photos/a\nb.jpg", 0.38, ("/x.jpg",))
    hits[2] = hit(3, "/photos/3.jpg", 0.37, ("/x.jpg", "/y.jpg"))
    show_hits(hits)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == " 1  0.390  /photos/1.jpg"
    assert lines[1] == " 2  0.380  /photos/a\\x0ab.jpg  (+ 1 other path)"
    assert lines[2] == " 3  0.370  /photos/3.jpg  (+ 2 other paths)"
    assert lines[9] == "10  0.300  /photos/10.jpg"
    assert len(lines) == 10


def test_a_list_by_time_shows_dates(capsys: pytest.CaptureFixture[str]) -> None:
    dated = Hit(1, 1, "/photos/1.jpg", (), 1.0, None, "2023-06-01T12:00:00", ())
    show_hits([dated, hit(2, "/photos/2.jpg", 1.0)], dates=True, numbers=False)
    assert capsys.readouterr().out.splitlines() == ["1  2023-06-01  /photos/1.jpg", "2  no date     /photos/2.jpg"]


def test_the_help_fits_on_a_screen_and_shows_every_option() -> None:
    lines = CliRunner().invoke(main, ["search", "--help"], terminal_width=80).output.splitlines()
    assert len(lines) <= 50
    command = main.get_command(None, "search")  # type: ignore[arg-type]
    assert command is not None
    options = [param.opts[-1] for param in command.params if param.name != "words"]
    assert not [option for option in options if not any(f"{option} " in line for line in lines)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--after", "2021-13"], "'2021-13' is not a date"),
        (["--after", "2021", "--before", "2020"], "No photo is both"),
        (["--near", "99,3"], "A latitude is between"),
        (["--near", "1,2,3,4"], "is not a place"),
        (["--min-pixels", "many"], "'many' is not a number of pixels"),
        (["--min-pixels", "0k"], "at least 1"),
        (["--rating", "0"], "not in the range"),
        (["--format", "psd"], "Unknown format 'psd'"),
        (["--name", "*", "--sort", "relevance"], "--sort relevance needs"),
        (["--name", "*", "--diverse"], "--diverse needs a description"),
    ],
)
def test_a_wrong_condition_is_wrong_usage(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(main, ["search", *arguments])
    assert done.exit_code == 2
    assert message in done.output
