"""Where a library in Milvus is, as people write it."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from searcher.errors import InvalidInput

SCHEME = "milvus"
TLS = "milvus+tls"
PORT = 19530
LITE_SUFFIX = ".db"
TOKEN_VARIABLE = "SEARCHER_MILVUS_TOKEN"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_OPTIONS = {"token", "secure", "ca", "database"}
_FORMS = "write milvus://HOST:19530/COLLECTION, or milvus:FILE.db/COLLECTION for Milvus Lite"


def is_address(text: str) -> bool:
    """Whether a text names a library in Milvus, and not a folder."""
    return text.startswith((f"{SCHEME}:", f"{TLS}:"))


@dataclass(frozen=True, slots=True)
class Address:
    """A collection on a server, or in a file of Milvus Lite.

    uri: what the client connects to: http(s)://host:port, or a path. token: "user:password" or an API key, "" for
    none. ca: a file with the certificates that TLS trusts, "" for those of the system. database: "" for the default.
    """

    uri: str
    collection: str
    token: str = field(default="", repr=False)
    ca: str = ""
    database: str = ""

    @property
    def is_lite(self) -> bool:
        """Whether it is a file of Milvus Lite."""
        return "://" not in self.uri

    @property
    def server(self) -> str:
        """The server or the file, for messages."""
        return self.uri.partition("://")[2] or self.uri

    def __str__(self) -> str:
        """The address without token and password, as `read_address` takes it."""
        if self.is_lite:
            return f"{SCHEME}:{self.uri}/{self.collection}"
        return f"{TLS if self.uri.startswith('https') else SCHEME}://{self.server}/{self.collection}"


def read_address(text: str) -> Address:
    """The address in a text of one of these forms.

    milvus://[USER:PASSWORD@]HOST[:PORT]/COLLECTION[?OPTIONS], or milvus+tls://... for TLS. The options are token=TOKEN,
    secure=true (TLS), ca=FILE and database=NAME. milvus:FILE.db/COLLECTION for Milvus Lite. A token in the environment
    variable SEARCHER_MILVUS_TOKEN does not get into the history of the shell.

    Raises InvalidInput. No message contains a token or a password.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise InvalidInput(f"this address of a Milvus library cannot be read: {_FORMS}") from None
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(options.keys() - _OPTIONS):
        raise InvalidInput(f"unknown option {unknown[0]!r} in the address: the options are {', '.join(_OPTIONS)}")
    path, _, collection = unquote(parts.path).rpartition("/")
    if _NAME.fullmatch(collection) is None:
        raise InvalidInput(
            f"{collection!r} is no name of a collection, which has letters, digits and _, and begins with a letter: "
            f"{_FORMS}"
        )
    if not parts.netloc:
        if not path:
            raise InvalidInput(f"the address names no server and no file: {_FORMS}")
        if not path.endswith(LITE_SUFFIX):  # by this the client knows a file
            raise InvalidInput(f"the name of a file of Milvus Lite ends with {LITE_SUFFIX}, not {path!r}: {_FORMS}")
        return Address(os.fspath(Path(os.path.expanduser(path)).absolute()), collection)
    if path or not parts.hostname:
        raise InvalidInput(f"the address of a Milvus server has a host and the name of a collection: {_FORMS}")
    secure = options.get("secure", "false").lower()
    if secure not in ("true", "false"):
        raise InvalidInput("the option secure of the address is true or false")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    protocol = "https" if parts.scheme == TLS or secure == "true" else "http"
    return Address(
        f"{protocol}://{host}:{PORT if port is None else port}",
        collection,
        _token(parts, options),
        options.get("ca", ""),
        options.get("database", ""),
    )


def _token(parts: SplitResult, options: dict[str, str]) -> str:
    """From the address, or else from the environment."""
    if options.get("token"):
        return options["token"]
    if parts.username and parts.password:
        return f"{unquote(parts.username)}:{unquote(parts.password)}"
    return os.environ.get(TOKEN_VARIABLE, "")
