"""The description of the API is true: what it allows and what it forbids is answered as it says."""

import gc
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Never

import pytest
import schemathesis
import schemathesis.specs.openapi.schemas  # here: pytest compiles it, which has failed deep inside of a test
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from searcher.errors import NotFound
from searcher.filters import cities
from tests.web.conftest import TOKEN, client_of, filled

EXAMPLES = 5  # of each operation and mode
NOT_ASKED = {
    ("GET", "/api/index"),  # a stream that does not end by itself
    ("POST", "/api/images/{id}/reveal"),  # opens the file manager
}
HEADERS = {"X-Searcher-Token": TOKEN, "Host": "127.0.0.1"}


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The operations of a server for an album, which the requests may change."""
    gc.collect()  # a server of an earlier test: collected while Python 3.11 compiles, it is a SystemError there
    with filled(tmp_path_factory.mktemp("described")) as album, client_of(album) as client:
        yield schemathesis.openapi.from_asgi("/api/openapi.json", client.app, headers=HEADERS)


@pytest.fixture(autouse=True)
def no_collection() -> Iterator[None]:
    """Hypothesis and schemathesis compile code while they draw: see `described`."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(autouse=True)
def no_cities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking for the city of each random text would take minutes."""

    def city(name: str, country: str | None = None) -> Never:
        raise NotFound(f"no city {name!r} is known")

    monkeypatch.setattr(cities, "_city", city)


@pytest.mark.slow
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_answer_is_as_described(described: Any, mode: GenerationMode) -> None:
    operations = [found.ok() for found in described.get_all_operations()]
    assert {"/api/search", "/api/images/{id}/thumbnail"} <= {operation.path for operation in operations}
    for operation in operations:
        if (operation.method.upper(), operation.path) in NOT_ASKED:
            continue

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def check(case: Any) -> None:
            # a text can also be no date, no format or no city, which a description cannot say
            case.call_and_validate(headers=HEADERS, excluded_checks=[positive_data_acceptance])

        with suppress(Unsatisfiable):  # without parameters, no request is wrong
            check()
