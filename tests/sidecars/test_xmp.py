"""In XMP from any program, only the three lists are changed."""

import codecs
import re
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from searcher.sidecars import SidecarError, read_sidecar
from tests.sidecars.sidecars import (
    DARKTABLE,
    DIGIKAM,
    DOG,
    IMMICH,
    LIGHTROOM,
    LISTS,
    PROGRAMS,
    RDF,
    content,
    document,
    exiftool,
    exiftool_of_many,
    names,
    read,
    sidecar,
    update,
)

OURS = {"XMP-dc:Subject": "dog", "XMP-lr:HierarchicalSubject": "animal|dog", "XMP-digiKam:TagsList": "animal/dog"}


@pytest.mark.parametrize("program", PROGRAMS)
def test_exiftool_reads_the_new_tags_and_unchanged_other_fields(tmp_path: Path, program: str) -> None:
    file = sidecar(tmp_path, PROGRAMS[program])
    before = exiftool(file)
    update(file, DOG)
    after = exiftool(file)
    for name, value in OURS.items():
        assert after.pop(name)[-1] == value
        before.pop(name, None)
    assert len(before) > 1
    assert after == before


def test_exiftool_reads_a_sidecar_that_we_created(tmp_path: Path) -> None:
    file = tmp_path / "new.jpg.xmp"
    update(file, DOG, ("beach",), ('Bücher, "alt" & <neu> 🐶',))
    assert exiftool(file) == {
        "XMP-x:XMPToolkit": "searcher",
        "XMP-dc:Subject": ["dog", "beach", 'Bücher, "alt" & <neu> 🐶'],
        "XMP-lr:HierarchicalSubject": ["animal|dog", "beach", 'Bücher, "alt" & <neu> 🐶'],
        "XMP-digiKam:TagsList": ["animal/dog", "beach", 'Bücher, "alt" & <neu> 🐶'],
    }


@pytest.mark.parametrize("program", PROGRAMS)
def test_existing_content_is_not_changed(tmp_path: Path, program: str) -> None:
    file = sidecar(tmp_path, PROGRAMS[program])
    before = head, body, declared, tail = content(file)
    added = update(file, DOG)
    head_after, body_after, declared_after, tail_after = content(file)
    assert (head_after, tail_after) == (head, tail)
    assert {*declared} <= {*declared_after}
    rest = iter(body_after.splitlines())
    assert all(line in rest for line in body.splitlines())  # every line is still there, in order
    update(file, remove=added)
    assert content(file) == before


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("change", ["CRLF", "one line", "BOM", "utf-16", "utf-32", "latin-1", "padding"])
def test_layout_and_encoding_are_kept(tmp_path: Path, program: str, change: str) -> None:
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
    before, (lists, rest) = content(file), read(file)
    added = update(file, DOG, ("\u65e5\u672c",))
    if change == "CRLF":
        assert file.read_bytes().count(b"\n") == file.read_bytes().count(b"\r\n")
    if change == "one line":
        assert b"\n" not in file.read_bytes()
    found = read_sidecar(bytes(file))
    assert found is not None and found.subjects[-2:] == ("dog", "\u65e5\u672c")
    after, rest_after = read(file)
    assert rest_after == rest
    assert after["dc:subject"] == [*lists["dc:subject"], "dog", "\u65e5\u672c"]
    update(file, remove=added)
    assert content(file) == before


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
def test_every_form_of_a_list_can_be_read_extended_and_restored(tmp_path: Path, shape: str) -> None:
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
    assert after == rest or "no description" in shape  # the update adds an rdf:Description
    update(file, ("beach",), remove=both)
    update(file, remove=both)
    lists, after = read(file)
    assert {name: {value.strip() for value in values} - {""} for name, values in lists.items()} == {
        name: {*values} for name, values in theirs.items()
    }


def test_exiftool_reads_a_tag_added_to_every_form_of_a_list(tmp_path: Path) -> None:
    shapes = [shape for shape in SHAPES if "no prefix" not in shape]  # exiftool needs a prefix such as "rdf:"
    files = [tmp_path / f"{number}.xmp" for number, _ in enumerate(shapes)]
    for file, shape in zip(files, shapes, strict=True):
        file.write_text(SHAPES[shape], encoding="utf-8")
        update(file, DOG)
    for shape, found in zip(shapes, exiftool_of_many(files), strict=True):
        assert {shape: {name: found[name][-1] for name in OURS}} == {shape: OURS}


@pytest.mark.parametrize("shape", ["bag", "single value", "attribute", "two properties", "comments", "CDATA"])
def test_our_value_can_be_removed_from_every_form_of_a_list(tmp_path: Path, shape: str) -> None:
    file = sidecar(tmp_path, SHAPES[shape])
    update(file, remove=("dc:subject=sea",))
    found = read_sidecar(bytes(file))
    assert found is not None and found.subjects == ()
    if shape != "comments":  # exiftool reads a list that has only comments as a name
        assert "XMP-dc:Subject" not in exiftool(file)
    file = sidecar(tmp_path, SHAPES[shape])
    update(file, ("beach",), remove=("dc:subject=sea",))
    found = read_sidecar(bytes(file))
    assert found is not None and found.subjects == ("beach",)


def test_new_elements_are_indented_like_their_neighbours(tmp_path: Path) -> None:
    file = sidecar(tmp_path, DARKTABLE)
    update(file, DOG)
    text = file.read_text(encoding="utf-8")
    assert "     <rdf:li>Places</rdf:li>\n     <rdf:li>dog</rdf:li>\n    </rdf:Bag>\n" in text
    assert (
        '\n   <digiKam:TagsList xmlns:digiKam="http://www.digikam.org/ns/1.0/">\n    <rdf:Seq>\n     <rdf:li>'
        "Places/Harbour</rdf:li>\n     <rdf:li>animal/dog</rdf:li>\n    </rdf:Seq>\n   </digiKam:TagsList>\n  </rdf:"
    ) in text


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="\ufffe\uffff"), max_size=8)
NOTES = st.text("ab <>&'\"\n;é-", max_size=8).filter(lambda text: "--" not in text and not text.endswith("-"))
LISTED = st.builds(
    lambda field, array, names, note: (
        f"<{field}>{note}<rdf:{array}>{note}"
        + "".join(f"<rdf:li>{escape(name)}</rdf:li>{note}" for name in names)
        + f"</rdf:{array}></{field}>"
    ),
    st.sampled_from([*LISTS]),
    st.sampled_from(["Bag", "Seq", "Alt"]),
    st.lists(WORDS, max_size=3),
    st.sampled_from(["", "\n", "<!-- in a list -->", "<?in a-list?>"]),
)
OTHERS = st.one_of(
    st.builds(lambda name, value: f"<xmp:Label xmp:a={quoteattr(name)}>{escape(value)}</xmp:Label>", WORDS, WORDS),
    st.builds(lambda text: f"<!--{text}-->", NOTES),
    st.builds(lambda text: f"<?app {text}?>", NOTES.filter(lambda text: "?>" not in text)),
    st.builds(lambda text: f"<xmp:Nickname><![CDATA[{text}]]> </xmp:Nickname>", NOTES),
    st.sampled_from(["\n", "\n   ", " ", "\t"]),
    st.sampled_from(
        [
            '<a:b xmlns:a="urn:a" a:c="&#9;&quot;&#xa;\'">\n text &#13; <a:d xmlns:a="urn:b"/> tail</a:b>',
            '<b xmlns="urn:default"><rdf:Bag><rdf:li xml:lang="en">dog</rdf:li></rdf:Bag></b>',
            '<lr:other xmlns:unused="urn:unused"/>',
        ]
    ),
)
AROUND = st.sampled_from(
    [
        ("", ""),
        ("<!-- first -->\n", "\n<!-- last </x:xmpmeta -->"),
        ("<?xpacket begin='\ufeff' id='W5M0MpCehiHzreSzNTczkc9d'?>\n", "\n" + " " * 200 + "\n\n<?xpacket end='w'?>"),
    ]
)


@given(st.lists(st.one_of(LISTED, OTHERS), max_size=8), AROUND, st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
@settings(max_examples=150, deadline=None)
def test_content_outside_the_lists_is_never_changed(
    tmp_path_factory: pytest.TempPathFactory, properties: list[str], around: tuple[str, str], encoding: str
) -> None:
    file = tmp_path_factory.mktemp("any") / "photo.jpg.xmp"
    file.write_bytes(f"{around[0]}{document(''.join(properties))}{around[1]}".encode(encoding))
    lists, rest = read(file)
    head, _, declared, tail = content(file)
    notes = re.compile(r"<!--.*?-->|<\?.*?\?>", re.DOTALL)
    notes_before = notes.findall(content(file)[1])
    theirs = names(file)
    added = update(file, DOG)
    for _ in range(2):  # after adding, and after removing
        lists_after, rest_after = read(file)
        assert rest_after == rest
        head_after, body, declared_after, tail_after = content(file)
        assert (head_after, tail_after) == (head, tail)
        assert {*declared} <= {*declared_after}
        assert notes.findall(body) == notes_before
        assert all({*lists[name]} <= {*lists_after[name]} for name in LISTS)
        update(file, remove=added)
    assert names(file) == theirs


@given(st.sampled_from([DARKTABLE, DIGIKAM, LIGHTROOM, IMMICH]), st.data())
@settings(max_examples=100, deadline=None)
def test_a_damaged_sidecar_is_an_error_or_is_updated_correctly(
    tmp_path_factory: pytest.TempPathFactory, text: str, data: st.DataObject
) -> None:
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
