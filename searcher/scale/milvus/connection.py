"""Calls to a Milvus server: with timeouts, again after a moment if the server may answer then, and with errors that
say what to do.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import grpc
from pymilvus import MilvusClient
from pymilvus.exceptions import ErrorCode, MilvusException

from searcher.errors import Busy, InvalidInput, NotFound, SearcherError, shortened
from searcher.scale.milvus.address import TOKEN_VARIABLE, Address

CONNECT_S = 10.0
TIMEOUT_S = 30.0  # of one call
LOAD_S = 600.0  # of a call that waits until a collection is in the memory of the server
ATTEMPTS = 4  # of a call that a server may answer later
PATIENCE_S = 60.0  # after which there is no further attempt
FIRST_PAUSE_S = 0.5  # before the second attempt; doubled before each further one
MOST_ROWS = 16_384  # that Milvus returns from one query or search
BATCH = 1000  # rows that are read at a time by an iterator, or by their ids
COUNTS_AT_ONCE = 8
OLDEST = (2, 5)  # the version of Milvus that has nullable fields

Row = dict[str, Any]

_CONNECT_FAILED = 2  # the code of pymilvus
_AUTHENTICATION = ("auth check failure", "unauthenticated", "not authenticated", "invalid token")
_LATER = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED}
_REFUSED = {
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNIMPLEMENTED,
}

# how many connections of this process use a file of Milvus Lite, which one process at a time can open
_lite_users = Counter[str]()
_lite_lock = threading.Lock()

# pymilvus logs each error with a traceback to stderr; here all errors become messages
logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
logging.getLogger("milvus_lite").setLevel(logging.CRITICAL + 1)


class Connection:
    """A server, or a file of Milvus Lite. Safe to share by threads. Opened by the first call."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._lock = threading.Lock()
        self._client: MilvusClient | None = None

    def close(self) -> None:
        """Release the server or the file. A later call opens it again."""
        with self._lock:
            client, self._client = self._client, None
        if client is None:
            return
        with suppress(MilvusException, grpc.RpcError):
            client.close()
        if self.address.is_lite:
            _release(self.address.uri)

    def query(
        self, collection: str, filter: str, fields: Sequence[str], limit: int = MOST_ROWS, strong: bool = False
    ) -> list[Row]:
        """Those fields of rows that meet a filter expression, in no order, at most `limit` of them."""
        options = {"filter": filter, "output_fields": list(fields), "limit": limit}
        return [dict(row) for row in self.call("query", collection, consistency_level=_level(strong), **options)]

    def query_in(
        self, collection: str, field: str, values: Sequence[int | str], fields: Sequence[str], strong: bool = False
    ) -> Iterator[Row]:
        """The rows that have one of these values in a field, in no order."""
        for start in range(0, len(values), BATCH):
            some = ", ".join(literal(value) for value in values[start : start + BATCH])
            filter = f"{field} in [{some}]"
            found = self.query(collection, filter, fields, strong=strong)
            yield from found if len(found) < MOST_ROWS else self.rows(collection, filter, fields, strong)

    def rows(self, collection: str, filter: str, fields: Sequence[str], strong: bool = False) -> Iterator[Row]:
        """Those fields of all rows that meet a filter expression, ascending by the primary key."""
        options = {"filter": filter, "output_fields": list(fields), "batch_size": BATCH}
        iterator = self.call("query_iterator", collection, consistency_level=_level(strong), **options)
        try:
            while batch := self._translated(iterator.next):
                yield from map(dict, batch)
        finally:
            with suppress(MilvusException, grpc.RpcError):
                iterator.close()

    def count(self, collection: str, filter: str = "", strong: bool = False) -> int:
        """How many rows meet a filter expression."""
        options = {"filter": filter, "output_fields": ["count(*)"]}
        (row,) = self.call("query", collection, consistency_level=_level(strong), **options)
        return int(row["count(*)"])

    def counts(self, collection: str, filters: Sequence[str]) -> list[int]:
        """How many rows meet each of many filter expressions. Some are counted at the same time."""
        with ThreadPoolExecutor(COUNTS_AT_ONCE) as pool:
            return list(pool.map(lambda filter: self.count(collection, filter), filters))

    def upsert(self, collection: str, rows: Sequence[Row]) -> None:
        """Write rows. All of them replace those with the same primary keys, or none does."""
        if rows:
            self.call("upsert", collection, list(rows))

    def delete(self, collection: str, filter: str) -> None:
        """Remove the rows that meet a filter expression."""
        self.call("delete", collection, filter=filter)

    def call(self, method: str, *args: object, **options: object) -> Any:
        """Call a method of the client. Raises SearcherError with what to do; the call may be made again.

        Writes are upserts and deletions, so that one that was made twice has the same result as once.
        """
        pause, started = FIRST_PAUSE_S, time.monotonic()
        timeout = LOAD_S if method in ("load_collection", "create_collection") else TIMEOUT_S
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return getattr(self._open(), method)(*args, timeout=timeout, **options)
            except (MilvusException, grpc.RpcError, ConnectionError) as error:
                last = attempt == ATTEMPTS or time.monotonic() - started > PATIENCE_S
                if last or not _may_answer_later(_reason(error)):
                    raise self._error(error) from error
            time.sleep(pause)
            pause *= 2
        raise AssertionError

    def _translated(self, step: Any) -> Any:
        """One step of an iterator. It cannot be repeated, because it would skip rows."""
        try:
            return step()
        except (MilvusException, grpc.RpcError, ConnectionError) as error:
            raise self._error(error) from error

    def _open(self) -> MilvusClient:
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _connect(self) -> MilvusClient:
        address = self.address
        if address.is_lite:
            return _open_lite(address)
        tls: Mapping[str, Any] = {"server_pem_path": address.ca} if address.ca else {}
        client = MilvusClient(
            address.uri, token=address.token, db_name=address.database, timeout=CONNECT_S, dedicated=True, **tls
        )
        version = str(client.get_server_version(timeout=CONNECT_S))
        if _numbers(version) < OLDEST:
            client.close()
            raise InvalidInput(
                f"the server {address.server} is Milvus {version}: searcher needs {'.'.join(map(str, OLDEST))} or later"
            )
        return client

    def _error(self, error: Exception) -> SearcherError:
        """What a person should know about an error of the client."""
        error = _reason(error)
        server, code = self.address.server, _code(error)
        said = " ".join(str(getattr(error, "message", None) or _details(error)).split())
        if code == grpc.StatusCode.UNAUTHENTICATED or any(sign in said.lower() for sign in _AUTHENTICATION):
            return InvalidInput(
                f"the server {server} refuses the token or the password: put the right one into {TOKEN_VARIABLE}"
            )
        if code == grpc.StatusCode.PERMISSION_DENIED or "permission deny" in said.lower():
            return InvalidInput(f"the server {server} does not let this user do that: ask who runs it for the right")
        if code == grpc.StatusCode.UNIMPLEMENTED:
            return InvalidInput(
                f"the server {server} lacks a feature that searcher needs: it must be Milvus "
                f"{'.'.join(map(str, OLDEST))} or later"
            )
        if code == ErrorCode.COLLECTION_NOT_FOUND:
            return nothing_at(self.address)
        if _may_answer_later(error):
            return Busy(
                f"the Milvus server {server} does not answer: check the address and that the server runs, "
                "then run the command again"
            )
        return SearcherError(f"the Milvus server {server} reports: {shortened(said, 300)}")


def nothing_at(address: Address) -> NotFound:
    """The error for an address where nothing was loaded."""
    return NotFound(f"{address} holds no photos: fill it with `searcher load DIR --to {address}`")


def literal(value: str | int | float) -> str:
    """A value in a filter expression. No text can end its literal early.

    Milvus Lite knows no templates of filters, so texts are escaped here.
    """
    if isinstance(value, str):
        return '"' + "".join(_ESCAPES.get(letter, letter) for letter in value) + '"'
    return repr(value)


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _level(strong: bool) -> str:
    """Whether a read sees what any program has written, or at least what this one has."""
    return "Strong" if strong else "Session"


def _code(error: Exception) -> object:
    code = getattr(error, "code", None)
    return code() if callable(code) else code


def _details(error: Exception) -> str:
    details = getattr(error, "details", None)
    return str(details()) if callable(details) else str(error)


def _reason(error: Exception) -> Exception:
    """What a server refused, where the client only says that it cannot connect."""
    seen: list[BaseException] = [error]
    while (cause := seen[-1].__cause__) is not None and cause not in seen:  # pymilvus raises errors from themselves
        seen.append(cause)
    causes = (each for each in seen if isinstance(each, grpc.RpcError) and isinstance(each, Exception))
    return next((each for each in causes if _code(each) in _REFUSED), error)


def _may_answer_later(error: Exception) -> bool:
    """Whether a server is away, slow or has too much to do."""
    if isinstance(error, ConnectionError):
        return True
    code = _code(error)
    if code in (_CONNECT_FAILED, ErrorCode.RATE_LIMIT) or getattr(error, "retriable", False):
        return True
    return code in _LATER


def _numbers(version: str) -> tuple[int, ...]:
    """The first two numbers of a version such as "v2.5.4-gpu". An unknown form counts as new."""
    parts = version.lstrip("v").split(".")[:2]
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else (999,)


def _open_lite(address: Address) -> MilvusClient:
    from pathlib import Path

    if not Path(address.uri).parent.is_dir():
        raise NotFound(f"{Path(address.uri).parent} is no folder: make it, or name another file of Milvus Lite")
    with _lite_lock:
        try:
            client = MilvusClient(address.uri, dedicated=True)
        except MilvusException as error:
            if "milvus-lite is required" in str(error):
                raise SearcherError("a file of Milvus Lite needs another package: pip install milvus-lite") from error
            raise Busy(
                f"{address.uri} cannot be opened: another program uses it, or it is no file of Milvus Lite"
            ) from error
        _lite_users[address.uri] += 1
        return client


def _release(path: str) -> None:
    """Let other processes open a file of Milvus Lite, if no other connection of this one uses it."""
    from milvus_lite.server_manager import server_manager_instance

    with _lite_lock:
        _lite_users[path] -= 1
        if not _lite_users[path]:
            del _lite_users[path]
            server_manager_instance.release_server(path)
