"""Checks that the README and the docs show only things that exist."""

import re
import shlex
import shutil
from pathlib import Path

import click
import pytest

from searcher.commands import COMMANDS, main
from searcher.datasets.samples import sample_photos

CHECKOUT = Path(__file__).parents[1]
PAGES = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/*.md"), CHECKOUT / "index_data" / "README.md"])
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def code_of(page: Path) -> list[str]:
    """Every line in a fenced or indented code block, and all inline code."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```[a-z]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    blocks += re.findall(r"^ {4}(.*)$", text, re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    return lines + re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def shown_commands(page: Path) -> list[list[str]]:
    """The words of each `searcher …` command shown on the page, without prompt and comment."""
    shown = []
    for line in code_of(page):
        found = re.match(r"(?:\$ |python -m |torchrun .*-m )?searcher ([a-z-].*)", line.strip())
        if found and "…" not in found[1]:
            words = shlex.split(found[1], comments=True)
            shown.append(words[: words.index("|")] if "|" in words else words)
    return shown


def check(words: list[str]) -> str | None:
    """What is wrong with a command line from the docs, or None."""
    if words[0].startswith("-"):
        return None if words[0] in ("--help", "--version", "-h") else f"no option {words[0]}"
    context = click.Context(main)
    command: click.Command = main
    shown = words[0]
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        if found is None:
            return f"no command {words[0]}"
        command, words = found, words[1:]
    options = {name for parameter in command.params for name in [*parameter.opts, *parameter.secondary_opts]}
    options |= {"--help", "-h"}
    unknown = [word for word in words if re.match(r"--?[a-z]", word) and word.split("=")[0] not in options]
    return f"no option {unknown[0]} of {shown}" if unknown else None


def test_the_check_reports_unknown_commands_and_options() -> None:
    assert check(["search", "a cat", "--top", "5"]) is None
    assert check(["--version"]) is None
    assert check(["serach", "a cat"]) == "no command serach"
    assert check(["search", "a cat", "--best"]) == "no option --best of search"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_command_and_option_shown_exists(page: Path) -> None:
    assert not [problem for words in shown_commands(page) if (problem := check(list(words)))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_link_to_a_file_has_an_existing_target(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert not [link for link in local if not (page.parent / link).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_source_file_named_exists(page: Path) -> None:
    named = re.findall(
        r"\b(?:searcher|benchmarks|recipes|tests)/[\w./-]+\.(?:py|txt|json)\b", page.read_text(encoding="utf-8")
    )
    assert not [file for file in named if not (CHECKOUT / file).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_make_target_shown_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (CHECKOUT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    shown = {found[1] for line in code_of(page) if (found := re.match(r"(?:\$ )?make ([a-z]+)", line.strip()))}
    assert shown <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_python_examples_compile_and_their_imports_work(page: Path) -> None:
    for block in PYTHON_BLOCK.findall(page.read_text(encoding="utf-8")):
        compile(block, str(page), "exec")
        exec("\n".join(re.findall(r"^(?:from|import) .*$", block, re.MULTILINE)), {})


def test_the_examples_of_the_python_api_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEARCHER_MODELS", str(tmp_path / "models"))
    (tmp_path / "photos").mkdir()
    for photo in sample_photos():
        shutil.copy(photo, tmp_path / "photos" / photo.name)
    page = (CHECKOUT / "docs" / "python-api.md").read_text(encoding="utf-8")
    for block in PYTHON_BLOCK.findall(page):
        exec(compile(block, "docs/python-api.md", "exec"), {})


def test_the_readme_shows_every_command() -> None:
    shown = {words[0] for words in shown_commands(CHECKOUT / "README.md")}
    assert set(COMMANDS) <= shown


def test_the_commands_without_json_or_quiet_are_named() -> None:
    models = main.get_command(click.Context(main), "models")
    assert isinstance(models, click.Group)
    names = [*COMMANDS, *(f"models {name}" for name in models.commands)]
    names.remove("models")
    page = " ".join((CHECKOUT / "docs" / "programs.md").read_text(encoding="utf-8").split())
    (without_json,) = re.findall(r"Every command accepts `--json` except ([^.]*)\.", page)
    assert re.findall("`([^`]*)`", without_json) == [name for name in names if check([*name.split(), "--json"])]
    (without_quiet,) = re.findall(r"`--quiet` turns them off\. Every command accepts it except ([^.]*), which", page)
    found = dict.fromkeys(name.split()[0] for name in names if check([*name.split(), "--quiet"]))
    assert set(re.findall("`([^`]*)`", without_quiet)) == set(found)


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert "make test" in (CHECKOUT / "README.md").read_text(encoding="utf-8")
    last = (CHECKOUT / ".ci" / "run").read_text(encoding="utf-8").strip().splitlines()[-1]
    assert last == "exec make test"
