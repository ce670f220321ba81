"""Any XMP, whoever wrote it: the three lists change, nothing else does."""

import codecs
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from searcher.photos.sidecar import SidecarError, read_sidecar, update_sidecar
from tests.photos.sidecars import (
    DARKTABLE,
    DIGIKAM,
    IMMICH,
    LIGHTROOM,
    LISTS,
    PROGRAMS,
    RDF,
    document,
    exiftool,
    exiftool_of_many,
    read,
)

DOG = ("animal", "dog")
OURS = {"XMP-dc:Subject": "dog", "XMP-lr:HierarchicalSubject": "animal|dog", "XMP-digiKam:TagsList": "animal/dog"}


def sidecar(tmp_path: Path, text: str | bytes) -> Path:
    file = tmp_path / "photo.jpg.xmp"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def update(file: Path, *tags: tuple[str, ...], remove: tuple[str, ...] = ()) -> tuple[str, ...]:
    return update_sidecar(bytes(file), tags, remove).added


@pytest.mark.parametrize("program", PROGRAMS)
def test_exiftool_reads_the_new_tags_and_all_else_as_before(tmp_path, program) -> None:
    file = sidecar(tmp_path, PROGRAMS[program])
    before = exiftool(file)
    update(file, DOG)
    after = exiftool(file)
    for name, value in OURS.items():
        assert after.pop(name)[-1] == value
        before.pop(name, None)
    assert len(before) > 1
    assert after == before


def test_exiftool_reads_a_sidecar_that_we_made(tmp_path) -> None:
    file = tmp_path / "new.jpg.xmp"
    update(file, DOG, ("beach",), ('Bücher, "alt" & <neu> 🐶',))
    assert exiftool(file) == {
        "XMP-x:XMPToolkit": "searcher",
        "XMP-dc:Subject": ["dog", "beach", 'Bücher, "alt" & <neu> 🐶'],
        "XMP-lr:HierarchicalSubject": ["animal|dog", "beach", 'Bücher, "alt" & <neu> 🐶'],
        "XMP-digiKam:TagsList": ["animal/dog", "beach", 'Bücher, "alt" & <neu> 🐶'],
    }


@pytest.mark.parametrize("program", PROGRAMS)
def test_bytes_are_inserted_and_none_changed(tmp_path, program) -> None:
    file = sidecar(tmp_path, PROGRAMS[program])
    added = update(file, DOG)
    rest = iter(file.read_text(encoding="utf-8").splitlines())
    assert all(line in rest for line in PROGRAMS[program].splitlines())  # each of them, in order
    update(file, remove=added)
    assert file.read_bytes() == PROGRAMS[program].encode()


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("change", ["CRLF", "one line", "BOM", "utf-16", "utf-32", "latin-1", "padding"])
def test_layout_and_encoding_are_kept(tmp_path, program, change) -> None:
    text = PROGRAMS[program]
    if change == "CRLF":
        data = text.replace("\n", "\r\n").encode()
    elif change == "one line":
        data = " ".join(line.strip() for line in text.splitlines()).replace("> <", "><").encode()
    elif change == "BOM":
        data = codecs.BOM_UTF8 + text.encode()
    elif change == "latin-1":
        data = text.replace("\ufeff", "").encode("latin-1", "xmlcharrefreplace")
        data = b'<?xml version="1.0" encoding="ISO-8859-1"?>\n' + data.removeprefix(DARKTABLE.splitlines()[0].encode())
        data = data.replace(b"?>\n\n", b"?>\n")
    elif change == "padding":
        data = text.encode() + b"\n" + (b" " * 99 + b"\n") * 20
    else:
        data = text.replace('encoding="UTF-8"', f'encoding="{change}"').encode(change)
    file = sidecar(tmp_path, data)
    if change != "utf-32":  # which expat does not know, nor ElementTree
        lists, rest = read(file)
    added = update(file, DOG, ("\u65e5\u672c",))
    if change == "CRLF":
        assert file.read_bytes().count(b"\n") == file.read_bytes().count(b"\r\n")
    if change == "one line":
        assert b"\n" not in file.read_bytes()
    found = read_sidecar(bytes(file))
    assert found is not None and found.subjects[-2:] == ("dog", "\u65e5\u672c")
    if change != "utf-32":
        after, rest_after = read(file)
        assert rest_after == rest
        assert after["dc:subject"] == [*lists["dc:subject"], "dog", "\u65e5\u672c"]
    update(file, remove=added)
    assert file.read_bytes() == data


def bare(inside: str) -> str:
    return (
        f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>\n <rdf:RDF xmlns:rdf='{RDF[1:-1]}'>{inside}\n </rdf:RDF>\n</x:xmpmeta>"
    )


LIST = "\n<dc:subject><rdf:{0}><rdf:li>sea</rdf:li></rdf:{0}></dc:subject>"
SHAPES = {
    "bag": document(LIST.format("Bag")),
    "sequence": document(LIST.format("Seq")),
    "alternatives": document("<dc:subject><rdf:Alt><rdf:li xml:lang='x-default'>sea</rdf:li></rdf:Alt></dc:subject>"),
    "single value": document("<dc:subject>sea</dc:subject>"),
    "attribute": document(attributes=" dc:subject='sea'"),
    "attribute beside a list": document(LIST.format("Bag"), "\n dc:subject = 'sea' "),
    "two properties": document(LIST.format("Bag") + LIST.format("Seq")),
    "CDATA": document("<dc:subject><rdf:Bag><rdf:li><![CDATA[sea]]></rdf:li></rdf:Bag></dc:subject>"),
    "references": document("<dc:subject><rdf:Bag><rdf:li>&#x73;e&#97;</rdf:li></rdf:Bag></dc:subject>"),
    "blanks": document("<dc:subject><rdf:Bag><rdf:li>\n sea\t</rdf:li>\n\n</rdf:Bag></dc:subject >"),
    "comments": document(
        "<dc:subject><!-- > --><rdf:Bag><!--<rdf:li>--><rdf:li>sea</rdf:li><?x?></rdf:Bag></dc:subject>"
    ),
    "empty list": document("<dc:subject><rdf:Bag/></dc:subject>"),
    "empty list, two tags": document("<dc:subject>\n<rdf:Bag>\n</rdf:Bag></dc:subject>"),
    "empty property": document("<dc:subject/>"),
    "empty property, two tags": document("<dc:subject> </dc:subject>"),
    "empty attribute": document(attributes=' dc:subject=""'),
    "other prefixes": document(LIST.format("Bag"))
    .replace(":dc=", ":a.b-c=").replace("dc:", "a.b-c:").replace(":rdf=", ":_=").replace("rdf:", "_:"),
    "awkward attributes": document(LIST.format("Bag"), ' xmp:Label="dc:subject=\'sea\' >" xmp:Nickname=\'"/>\''),
    "prefix taken": document(LIST.format("Bag")).replace(":lr=", ":L=").replace(":digiKam=", ":lr="),
    "closes itself": bare("<rdf:Description rdf:about='' xmlns:xmp='http://ns.adobe.com/xap/1.0/' xmp:Rating='1' />"),
    "nothing inside": bare("<rdf:Description rdf:about=''></rdf:Description>"),
    "no description": bare(""),
    "no description, no tags": bare("").replace(">\n </rdf:RDF>", "/>"),
    "no prefix": f"<RDF xmlns='{RDF[1:-1]}'><Description><a xmlns='b'>1</a></Description></RDF>",
    "no prefix, no description": f"<RDF xmlns='{RDF[1:-1]}'></RDF>",
    "two descriptions": IMMICH,
    "no list": LIGHTROOM,
    "item with structure": document(
        "<dc:subject><rdf:Bag><rdf:li rdf:parseType='Resource'>"
        "<rdf:value>sea</rdf:value></rdf:li></rdf:Bag></dc:subject>"
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_every_way_to_write_a_list_is_read_extended_and_left(tmp_path, shape) -> None:
    file = sidecar(tmp_path, SHAPES[shape])
    lists, rest = read(file)
    theirs = {name: [value.strip() for value in values if value.strip()] for name, values in lists.items()}
    found = read_sidecar(bytes(file))
    assert found is not None
    assert [*found.subjects] == [*dict.fromkeys(theirs["dc:subject"])]
    first = update(file, DOG)
    both = update(file, DOG, ("beach",), remove=first)
    for comment in ("<!-- > -->", "<!--<rdf:li>-->", "<?x?>"):
        assert (comment in file.read_text(encoding="utf-8")) == (comment in SHAPES[shape])
    lists, after = read(file)
    for name, hierarchical in zip(LISTS, ("dog", "animal|dog", "animal/dog"), strict=True):
        values = [value.strip() for value in lists[name]]
        assert values.count(hierarchical) == values.count("beach") == 1
        assert values.index(hierarchical) + 1 == values.index("beach")
        assert {*theirs[name]} <= {*values}
    assert after == rest or "no description" in shape  # which now has one
    update(file, ("beach",), remove=both)
    update(file, remove=both)
    lists, after = read(file)
    assert {name: {value.strip() for value in values} - {""} for name, values in lists.items()} == {
        name: {*values} for name, values in theirs.items()
    }


def test_exiftool_reads_a_tag_added_to_every_way_to_write_a_list(tmp_path) -> None:
    shapes = [shape for shape in SHAPES if "no prefix" not in shape]  # exiftool looks for "rdf:" or the like
    files = [tmp_path / f"{number}.xmp" for number, _ in enumerate(shapes)]
    for file, shape in zip(files, shapes, strict=True):
        file.write_text(SHAPES[shape], encoding="utf-8")
        update(file, DOG)
    for shape, found in zip(shapes, exiftool_of_many(files), strict=True):
        assert {shape: {name: found[name][-1] for name in OURS}} == {shape: OURS}


@pytest.mark.parametrize("shape", ["bag", "single value", "attribute", "two properties", "comments", "CDATA"])
def test_a_value_of_ours_is_taken_out_of_every_way_to_write_it(tmp_path, shape) -> None:
    file = sidecar(tmp_path, SHAPES[shape])
    update(file, remove=("dc:subject=sea",))
    found = read_sidecar(bytes(file))
    assert found is not None and found.subjects == ()
    if shape != "comments":  # exiftool takes a list of comments alone for a name
        assert "XMP-dc:Subject" not in exiftool(file)
    file = sidecar(tmp_path, SHAPES[shape])
    update(file, ("beach",), remove=("dc:subject=sea",))
    found = read_sidecar(bytes(file))
    assert found is not None and found.subjects == ("beach",)


def bomb() -> str:
    entities = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))
    return f'<!DOCTYPE x [<!ENTITY a0 "ha">{entities}]>' + document("<dc:subject>&a11;</dc:subject>")


MALFORMED = {
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
    "two roots": DARKTABLE + document(),
    "structure for a list": document("<dc:subject rdf:parseType='Resource'><dc:a>b</dc:a></dc:subject>"),
    "link for a list": document("<dc:subject rdf:resource='http://example.org/'/>"),
    "text beside a list": document("<dc:subject>sea<rdf:Bag/></dc:subject>"),
    "two lists in one": document("<dc:subject><rdf:Bag/><rdf:Bag/></dc:subject>"),
    "too many elements": document("<a/>" * 100_000),
    "too large": document(" " * 2**24),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_sidecar_is_one_line_and_is_left_alone(tmp_path, kind) -> None:
    file = sidecar(tmp_path, MALFORMED[kind])
    before = file.read_bytes()
    for attempt in (lambda: read_sidecar(bytes(file)), lambda: update(file, DOG)):
        with pytest.raises(SidecarError) as error:
            attempt()
        assert str(file) in str(error.value) and "\n" not in str(error.value)
    assert file.read_bytes() == before
    assert [*tmp_path.iterdir()] == [file]


@given(st.sampled_from([DARKTABLE, DIGIKAM, LIGHTROOM, IMMICH]), st.data())
@settings(max_examples=100, deadline=None)
def test_damage_is_an_error_or_does_no_harm(tmp_path_factory, text, data) -> None:
    file = tmp_path_factory.mktemp("damage") / "photo.jpg.xmp"
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(start + 40, len(text))))
    damaged = (text[:start] + data.draw(st.text('<>/"=&;!-[] lirdf:Bag', max_size=8)) + text[end:]).encode()
    file.write_bytes(damaged)
    try:
        added = update(file, DOG)
    except SidecarError:
        assert file.read_bytes() == damaged
        return
    found = read_sidecar(bytes(file))
    assert found is not None and "dog" in found.subjects and "animal/dog" in found.tags_list
    update(file, remove=added)
    again = read_sidecar(bytes(file))
    file.write_bytes(damaged)
    assert again == read_sidecar(bytes(file))
