"""Sidecars that are malformed, hostile or very large give one line, quickly."""

import time
from pathlib import Path

import pytest

from searcher.sidecars import Sidecar, SidecarError, read_sidecar
from tests.sidecars.sidecars import DARKTABLE, DIGIKAM, DOG, content, document, sidecar, update


def bomb() -> str:
    entities = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))
    return f'<!DOCTYPE x [<!ENTITY a0 "ha">{entities}]>' + document("<dc:subject>&a11;</dc:subject>")


MALFORMED: dict[str, str | bytes] = {
    "empty": "",
    "text": "not XML",
    "half": DARKTABLE[: len(DARKTABLE) // 2],
    "crossed tags": DARKTABLE.replace("</rdf:Bag>", "</rdf:Seq>", 1),
    "HTML": "<html><body><p>404</p></body></html>",
    "no RDF": "<x:xmpmeta xmlns:x='adobe:ns:meta/'/>",
    "undeclared prefix": DARKTABLE.replace("xmlns:dc=", "xmlns:cd="),
    "bytes": b"\x00\x01\x02\xff\xfe",
    "broken UTF-8": DIGIKAM.encode().replace("é".encode(), b"\xe9"),
    "unknown encoding": DARKTABLE.replace("UTF-8", "klingon"),
    "encoding that is none": DARKTABLE.replace("UTF-8", "rot13"),
    "entity bomb": bomb(),
    "outside entity": f'<!DOCTYPE x SYSTEM "file:///etc/passwd">{document()}',
    "entity in a file": '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    + document("<dc:subject>&a;</dc:subject>"),
    "parameter entity": '<!DOCTYPE x [<!ENTITY % a SYSTEM "http://example.org/a.dtd"> %a;]>' + document(),
    "undeclared entity": document("<dc:subject>&dog;</dc:subject>"),
    "encoding that is slow": DARKTABLE.replace("UTF-8", "punycode") + "a" * 2**20,
    "long encoding": DARKTABLE.replace("UTF-8", "a" * 2**20),
    "two declarations": DARKTABLE.splitlines()[0] + DARKTABLE,
    "two roots": DARKTABLE + document(),
    "text outside the root": DARKTABLE + "text",
    "wrapper closed": "</w><w>" + document(),
    "structure for a list": document("<dc:subject rdf:parseType='Resource'><dc:a>b</dc:a></dc:subject>"),
    "link for a list": document("<dc:subject rdf:resource='http://example.org/'/>"),
    "text beside a list": document("<dc:subject>sea<rdf:Bag/></dc:subject>"),
    "two lists in one": document("<dc:subject><rdf:Bag/><rdf:Bag/></dc:subject>"),
    "too many elements": document("<a/>" * 100_000),
    "four million elements": document("<a/>" * (2**22 - 200)),
    "too large": document(" " * 2**24),
    "deep nesting": document("<a>" * 50_000 + "</a>" * 50_000),
    "deep nesting, half": "<a>" * 99_000,
    "huge attribute": document(attributes=f' xmp:Label="{"x" * 15_000_000}"'),
    "huge text": document("x" * 15_000_000),
    "huge name": document(f"<{'x' * 15_000_000}/>"),
    "huge comment": document("<!--" + "x" * 15_000_000),
    "a byte that XML forbids": document("<dc:subject>\0</dc:subject>"),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_or_hostile_sidecar_is_an_error_and_is_unchanged(tmp_path: Path, kind: str) -> None:
    file = sidecar(tmp_path, MALFORMED[kind])
    before = file.read_bytes()
    start = time.monotonic()
    for attempt in (lambda: read_sidecar(bytes(file)), lambda: update(file, DOG)):
        with pytest.raises(SidecarError) as error:
            attempt()
        assert str(file) in str(error.value) and "\n" not in str(error.value)
        assert len(str(error.value)) < len(str(file)) + 200 and "root:" not in str(error.value)
    assert time.monotonic() - start < 10
    assert file.read_bytes() == before
    assert [*tmp_path.iterdir()] == [file]


@pytest.mark.parametrize("kind", ["a DOCTYPE", "nested too deeply", "more than 100,000", "unsupported encoding"])
def test_the_message_names_what_is_unsafe(tmp_path: Path, kind: str) -> None:
    texts: dict[str, str | bytes] = {
        "a DOCTYPE": bomb(),
        "nested too deeply": MALFORMED["deep nesting"],
        "more than 100,000": MALFORMED["too many elements"],
        "unsupported encoding": MALFORMED["encoding that is slow"],
    }
    with pytest.raises(SidecarError, match=kind):
        read_sidecar(bytes(sidecar(tmp_path, texts[kind])))


@pytest.mark.parametrize(
    "text",
    [
        document(attributes="".join(f' xmp:a{i}=""' for i in range(20_000))),
        document("".join(f"<a{i}/>" for i in range(99_000))),
        document(
            f"<dc:subject><rdf:Bag>{''.join(f'<rdf:li>{i}</rdf:li>' for i in range(30_000))}</rdf:Bag></dc:subject>"
        ),
    ],
    ids=["attributes", "properties", "names"],
)
def test_a_sidecar_with_very_much_in_it_is_updated_quickly(tmp_path: Path, text: str) -> None:
    file = sidecar(tmp_path, text)
    start = time.monotonic()
    added = update(file, DOG)
    assert time.monotonic() - start < 10
    update(file, remove=added)
    assert content(file)[1:] == content(sidecar(tmp_path, text))[1:]


@pytest.mark.parametrize(
    "text",
    [document("<a/>" * 99_990), document(f"<!--{' ' * (2**23 - 400)}-->" * 2), document("<a>" * 250 + "</a>" * 250)],
    ids=["elements", "bytes", "depth"],
)
def test_a_sidecar_at_a_limit_stays_readable(tmp_path: Path, text: str) -> None:
    file = sidecar(tmp_path, text)
    assert read_sidecar(bytes(file)) == Sidecar((), (), ())
    try:
        update(file, *((f"name {i}",) for i in range(20)))
    except SidecarError:
        assert file.read_text(encoding="utf-8") == text
    assert read_sidecar(bytes(file)) is not None
