"""Writing tags to sidecars: our entries are added and removed, and the user's entries stay."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from searcher.sidecars import Sidecar, SidecarError, Update, entries, read_sidecar, update_sidecar
from tests.sidecars.sidecars import content, document, exiftool, names, read

DOG, BEACH = ("animal", "dog"), ("beach",)


def with_lists(subjects: str = "", hierarchical: str = "", tags_list: str = "") -> str:
    """A sidecar with the user's names, separated by commas. An empty list is not written."""

    def written(field: str, values: str, kind: str = "Bag") -> str:
        items = "".join(f"<rdf:li>{value}</rdf:li>" for value in values.split(","))
        return f"\n   <{field}><rdf:{kind}>{items}</rdf:{kind}></{field}>" if values else ""

    return document(
        written("dc:subject", subjects)
        + written("lr:hierarchicalSubject", hierarchical)
        + written("digiKam:TagsList", tags_list, "Seq")
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "photo.jpg.xmp"


# ownership


def test_a_tag_is_written_to_all_three_fields(file: Path) -> None:
    update = update_sidecar(bytes(file), [DOG, BEACH])
    assert update.changed
    assert names(file) == Sidecar(("dog", "beach"), ("animal|dog", "beach"), ("animal/dog", "beach"))
    assert set(update.added) == {*entries(DOG), *entries(BEACH)}


def test_an_unchanged_tag_does_not_write_the_file(file: Path) -> None:
    first = update_sidecar(bytes(file), [DOG])
    before = file.stat()
    again = update_sidecar(bytes(file), [DOG, DOG], first.added)
    assert (again.changed, again.added) == (False, first.added)
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_no_sidecar_is_created_without_a_tag(file: Path) -> None:
    assert update_sidecar(bytes(file), [], entries(DOG)) == Update(False, ())
    assert read_sidecar(bytes(file)) is None


def test_a_sidecar_that_we_created_is_deleted_with_the_last_tag(file: Path) -> None:
    update = update_sidecar(bytes(file), [DOG, BEACH])
    update = update_sidecar(bytes(file), [BEACH], update.added)
    assert names(file).hierarchical == ("beach",)
    assert update_sidecar(bytes(file), [], update.added).changed
    assert not file.exists()


def test_a_sidecar_that_another_program_edited_is_not_deleted(file: Path) -> None:
    update = update_sidecar(bytes(file), [DOG])
    file.write_text(file.read_text().replace("</dc:subject>", "</dc:subject><!-- mine -->"))
    update_sidecar(bytes(file), [], update.added)
    assert "<!-- mine -->" in file.read_text()


def test_a_sidecar_that_another_program_only_formatted_is_deleted(file: Path) -> None:
    update = update_sidecar(bytes(file), [DOG])
    file.write_text("\n\n".join(line.strip() for line in file.read_text().splitlines()))
    update_sidecar(bytes(file), [], update.added)
    assert not file.exists()


def test_an_existing_entry_is_not_ours_and_is_kept(file: Path) -> None:
    file.write_text(with_lists(subjects="dog"))
    before = content(file)
    update = update_sidecar(bytes(file), [DOG])
    assert "dc:subject=dog" not in update.added
    assert update_sidecar(bytes(file), [DOG], update.added) == Update(False, update.added)
    update_sidecar(bytes(file), [], update.added)
    assert content(file) == before


def test_a_name_that_another_tag_needs_is_kept(file: Path) -> None:
    update = update_sidecar(bytes(file), [DOG, ("toy", "dog")])
    update = update_sidecar(bytes(file), [("toy", "dog")], update.added)
    assert names(file) == Sidecar(("dog",), ("toy|dog",), ("toy/dog",))
    update_sidecar(bytes(file), [], update.added)
    assert not file.exists()


def test_removing_a_tag_that_the_user_already_removed_is_not_an_error(file: Path) -> None:
    file.write_text(with_lists(subjects="sea"))
    before = file.read_bytes()
    assert update_sidecar(bytes(file), [], entries(DOG)) == Update(False, ())
    assert file.read_bytes() == before


def test_a_dry_run_returns_the_same_result_and_writes_nothing(file: Path) -> None:
    dry = update_sidecar(bytes(file), [DOG], write=False)
    assert dry.changed and not file.exists()
    assert update_sidecar(bytes(file), [DOG]) == dry
    cleared = update_sidecar(bytes(file), [], dry.added, write=False)
    assert cleared.changed and file.exists()


@pytest.mark.parametrize("wrong", ["dog", "dc:title=dog", ""])
def test_removing_an_invalid_entry_is_an_error(file: Path, wrong: str) -> None:
    with pytest.raises(SidecarError, match="invalid sidecar entry"):
        update_sidecar(bytes(file), [], [wrong])


# a program reads only the first list that it knows, so our list must not hide the user's names in the others


@pytest.mark.parametrize(
    ("theirs", "hierarchical", "tags_list"),
    [
        (("Sea,Harbour", "", ""), {"Sea", "Harbour"}, {"Sea", "Harbour"}),
        (("Harbour,Places,Sea", "Places|Harbour", ""), {"Places|Harbour"}, {"Places/Harbour", "Sea"}),
        (("Harbour", "", "Places/Harbour"), {"Places|Harbour"}, {"Places/Harbour"}),
        (("", "Either/Or|X", ""), {"Either/Or|X"}, {"Either\\Or/X"}),
        (("", "", "A|B/X"), {"A/B|X"}, {"A|B/X"}),
        (("Sea", "Places|Harbour", "Boats"), {"Places|Harbour"}, {"Boats"}),
    ],
)
def test_a_new_list_starts_with_the_names_from_the_other_lists(
    file: Path, theirs: tuple[str, str, str], hierarchical: set[str], tags_list: set[str]
) -> None:
    file.write_text(with_lists(*theirs))
    before = content(file)
    update = update_sidecar(bytes(file), [BEACH])
    found = names(file)
    assert {*found.hierarchical} == hierarchical | {"beach"}
    assert {*found.tags_list} == tags_list | {"beach"}
    assert {*found.subjects} == {*theirs[0].split(","), "beach"} - {""}
    assert not update_sidecar(bytes(file), [BEACH], update.added).changed
    update_sidecar(bytes(file), [], update.added)
    assert content(file) == before


def test_copied_names_follow_changes_in_their_source_list(file: Path) -> None:
    file.write_text(with_lists("Sea,Harbour"))
    update = update_sidecar(bytes(file), [BEACH])
    file.write_text(file.read_text().replace("<rdf:li>Sea</rdf:li>", "<rdf:li>Lake</rdf:li>", 1))  # dc:subject
    update_sidecar(bytes(file), [BEACH], update.added)
    assert {*names(file).tags_list} == {"Lake", "Harbour", "beach"}


def test_copied_names_stay_in_a_list_that_the_user_has_extended(file: Path) -> None:
    file.write_text(with_lists("Sea,Harbour"))
    update = update_sidecar(bytes(file), [BEACH])
    file.write_text(file.read_text().replace("</rdf:Seq>", "<rdf:li>Places/Pier</rdf:li></rdf:Seq>"))  # TagsList
    update = update_sidecar(bytes(file), [], update.added)
    assert {*names(file).tags_list} == {"Sea", "Harbour", "Places/Pier"}
    assert names(file).subjects == ("Sea", "Harbour")


# names


@pytest.mark.parametrize(
    ("tag", "subject", "hierarchical", "tags_list"),
    [
        (("a/b",), "a/b", "a/b", "a\\b"),
        (("a|b", "c"), "c", "a/b|c", "a|b/c"),
        (("x, y; z",), "x, y; z", "x, y; z", "x, y; z"),
        (("\"quoted\" 'too'",), "\"quoted\" 'too'", "\"quoted\" 'too'", "\"quoted\" 'too'"),
        (("<b>&amp;]]>",), "<b>&amp;]]>", "<b>&amp;]]>", "<b>&amp;]]>"),
        (("👩‍👩‍👧 🏳️‍🌈",), "👩‍👩‍👧 🏳️‍🌈", "👩‍👩‍👧 🏳️‍🌈", "👩‍👩‍👧 🏳️‍🌈"),
        ((" two \t lines\r\nand\x00a\x07bell\x85",), *3 * ("two lines and a bell",)),
        (("\udcff\ufffe",), "\ufffd\ufffd", "\ufffd\ufffd", "\ufffd\ufffd"),
        (("", "animal", " ", "dog"), "dog", "animal|dog", "animal/dog"),
        (("0",), "0", "0", "0"),
        (("a sentence that goes on and on. " * 40,), *3 * (("a sentence that goes on and on. " * 40).strip(),)),
    ],
)  # fmt: skip
def test_any_name_is_written_so_that_other_programs_can_read_it(
    file: Path, tag: tuple[str, ...], subject: str, hierarchical: str, tags_list: str
) -> None:
    update = update_sidecar(bytes(file), [tag])
    assert names(file) == Sidecar((subject,), (hierarchical,), (tags_list,))
    assert read(file)[0] == {
        "dc:subject": [subject],
        "lr:hierarchicalSubject": [hierarchical],
        "digiKam:TagsList": [tags_list],
    }
    found = exiftool(file)
    assert found["XMP-dc:Subject"] == [subject]
    assert found["XMP-lr:HierarchicalSubject"] == [hierarchical]
    assert found["XMP-digiKam:TagsList"] == [tags_list]
    assert not update_sidecar(bytes(file), [tag], update.added).changed
    assert update_sidecar(bytes(file), [tag]).added == ()


@pytest.mark.parametrize("tag", [(), ("",), (" \t", "\x00")])
def test_a_tag_without_a_name_is_an_error(file: Path, tag: tuple[str, ...]) -> None:
    with pytest.raises(SidecarError, match="without a name"):
        update_sidecar(bytes(file), [tag])
    assert not file.exists()


def test_composed_and_decomposed_letters_are_one_name(file: Path) -> None:
    file.write_text(with_lists(unicodedata.normalize("NFD", "Café"), "Café", "Café"))
    assert not update_sidecar(bytes(file), [("Café",)]).changed


def test_upper_and_lower_case_are_two_names(file: Path) -> None:
    file.write_text(with_lists("Dog", "Dog", "Dog"))
    update_sidecar(bytes(file), [("dog",)])
    assert names(file).subjects == ("Dog", "dog")


TAG = st.lists(st.text("abc/|é") | st.text(), min_size=1, max_size=3).map(tuple)
TAGS = st.lists(TAG.filter(lambda tag: bool("".join(tag).split())), max_size=4)
# No double spaces: names that differ only in white space count as the same name.
NAME = st.text("abc/|é ", min_size=1, max_size=4).filter(str.strip).filter(lambda name: "  " not in name)
NAMES = st.lists(NAME, max_size=3).map(",".join)


@given(st.tuples(NAMES, NAMES, NAMES), st.lists(TAGS, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_any_tags_keep_the_names_of_the_user_and_can_be_removed(
    tmp_path_factory: pytest.TempPathFactory, theirs: tuple[str, str, str], runs: list[list[tuple[str, ...]]]
) -> None:
    file = tmp_path_factory.mktemp("any") / "photo.jpg.xmp"
    file.write_text(with_lists(*theirs), encoding="utf-8")
    before, start = content(file), names(file)
    _, rest = read(file)
    added: tuple[str, ...] = ()
    for tags in runs:
        try:
            wanted = {entry for tag in tags for entry in entries(tag)}
        except SidecarError:  # the name has only control characters
            continue
        added = update_sidecar(bytes(file), tags, added).added
        found = names(file)
        for field, user, now in zip(
            ("dc:subject", "lr:hierarchicalSubject", "digiKam:TagsList"),
            (start.subjects, start.hierarchical, start.tags_list),
            (found.subjects, found.hierarchical, found.tags_list),
            strict=True,
        ):
            assert now[: len(user)] == user
            nfc = {unicodedata.normalize("NFC", name) for name in now}
            assert {unicodedata.normalize("NFC", f"{field}={name}") for name in nfc} >= {
                unicodedata.normalize("NFC", entry) for entry in wanted if entry.startswith(f"{field}=")
            }
        assert read(file)[1] == rest
        assert not update_sidecar(bytes(file), tags, added).changed
    update_sidecar(bytes(file), [], added)
    assert content(file) == before
