"""Turns the bytes of an XML document into text, and back into the same encoding."""

import codecs
import re
from dataclasses import dataclass

from searcher.sidecars.errors import RefusedError

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, because its BOM starts with that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Python knows more codecs. Some of them are not encodings of characters, and punycode takes quadratic time.
_SUPPORTED = re.compile(r"utf-(8|16|32)|ascii|iso8859-\d+|cp125\d")
_HEAD = re.compile(
    r"""\ufeff?(?:<\?xml\s+version\s*=\s*(?:"1\.\d"|'1\.\d')(?:\s+encoding\s*=\s*["'](?P<encoding>[\w.-]+)["'])?"""
    r"""(?:\s+standalone\s*=\s*(?:"(?:yes|no)"|'(?:yes|no)'))?\s*\?>)?""",
    re.ASCII,
)
_LONGEST_HEAD = 200


@dataclass(frozen=True, slots=True)
class Source:
    """An XML document as text.

    body: the document without its byte order mark and its XML declaration. head: these two.
    """

    head: str
    body: str
    encoding: str

    @classmethod
    def decode(cls, data: bytes) -> "Source":
        """Decode a document. Raises RefusedError if it is not valid text in its encoding."""
        encoding = next((name for mark, name in _BOMS if data.startswith(mark)), None) or _declared(data)
        try:
            text = data.decode(encoding)
            same = text.encode(encoding) == data
        except UnicodeError:
            same = False
        if not same:
            raise RefusedError(f"not valid {encoding} text")
        head = _HEAD.match(text, 0, _LONGEST_HEAD)
        end = head.end() if head else 0
        return cls(text[:end], text[end:], encoding)

    def encode(self, body: str) -> bytes:
        """Encode a new body, with the same head, encoding and kind of line breaks.

        body: has no literal carriage returns. A character that the encoding lacks becomes a reference (&#233;).
        """
        if "\r\n" in self.body and self.body.count("\n") == self.body.count("\r\n"):
            body = body.replace("\n", "\r\n")
        return (self.head + body).encode(self.encoding, "xmlcharrefreplace")


def _declared(data: bytes) -> str:
    head = _HEAD.match(data[:_LONGEST_HEAD].decode("latin-1"))
    name = head["encoding"] if head else None
    if name is None:
        return "utf-8"
    try:
        codec = codecs.lookup(name).name
    except LookupError:
        codec = ""
    if not _SUPPORTED.fullmatch(codec):
        raise RefusedError(f"unsupported encoding {name}")
    return codec
