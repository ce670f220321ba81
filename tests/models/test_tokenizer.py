import json
import time
import unicodedata
from pathlib import Path

import numpy as np
import open_clip
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from searcher.models.tokenizer import TextTokenizer, clean_lower
from searcher.trainer.export import clip_tokenizer, write_tokenizer
from tests.models.sentences import sentences

SIMPLE = open_clip.get_tokenizer("ViT-B-32")
OURS = TextTokenizer(clip_tokenizer(SIMPLE), {}, {})


def test_clip_tokens_equal_open_clip_for_many_scripts() -> None:
    texts = sentences(4000)
    np.testing.assert_array_equal(OURS(texts), SIMPLE(texts).numpy())


@pytest.mark.slow
def test_clip_tokens_equal_open_clip_for_every_character() -> None:
    chars = [chr(c) for c in range(0x20, 0x30000) if unicodedata.category(chr(c))[0] != "C"]
    texts = [f"a{char}b !{char}! 1{char}" for char in chars]
    for start in range(0, len(texts), 20000):
        part = texts[start : start + 20000]
        np.testing.assert_array_equal(OURS(part), SIMPLE(part).numpy())


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=60))
def test_clip_tokens_equal_open_clip_for_any_text(text: str) -> None:
    # the libraries have different Unicode versions, so they disagree about unassigned characters
    assume(all(unicodedata.category(char) != "Cn" for char in clean_lower(text)))
    np.testing.assert_array_equal(OURS([text]), SIMPLE([text]).numpy())


def test_a_long_text_is_truncated_and_keeps_its_end_token() -> None:
    ids = OURS(["dog " * 500])
    assert ids.shape == (1, 77)
    assert ids[0, 0] == SIMPLE.sot_token_id
    assert ids[0, -1] == SIMPLE.eot_token_id


def test_a_text_of_megabytes_takes_little_time() -> None:
    start = time.perf_counter()
    for text in ("é" * 3_000_000, "x" * 3_000_000, "one two " * 400_000):
        assert OURS([text])[0, -1] == SIMPLE.eot_token_id
        assert OURS.cuts(text)
    assert time.perf_counter() - start < 5


def test_the_context_length_comes_from_the_model_config() -> None:
    ours = TextTokenizer(clip_tokenizer(SIMPLE), {"context_length": 16}, {})
    np.testing.assert_array_equal(ours(["one two " * 20]), SIMPLE(["one two " * 20], context_length=16).numpy())


def test_trimmed_tokens_are_as_long_as_the_longest_text() -> None:
    ids = OURS(["a dog", "a dog on the beach"])
    trimmed = OURS.trim(ids)
    assert trimmed.shape == (2, 7)
    np.testing.assert_array_equal(trimmed, ids[:, :7])
    assert (ids[:, 7:] == OURS.pad_id).all()
    full = OURS(["dog " * 500])
    np.testing.assert_array_equal(OURS.trim(full), full)
    assert OURS.trim(np.full((3, 77), OURS.pad_id)).shape == (3, 2)


def test_a_shell_argument_that_is_not_utf8_is_still_tokenized() -> None:
    assert OURS([b"caf\xe9".decode("utf-8", "surrogateescape")]).shape == (1, 77)


def test_clip_vocabulary_in_hugging_face_form_gives_the_same_tokens(tmp_path: Path) -> None:
    """Published folders use Hugging Face's normaliser and its names for the special tokens."""
    write_tokenizer(SIMPLE, tmp_path / "tokenizer.json")
    text = (tmp_path / "tokenizer.json").read_text(encoding="utf-8")
    text = text.replace("<start_of_text>", "<|startoftext|>").replace("<end_of_text>", "<|endoftext|>")
    found = json.loads(text)
    found["normalizer"] = {
        "type": "Sequence",
        "normalizers": [
            {"type": "NFC"},
            {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "},
            {"type": "Lowercase"},
        ],
    }
    found["pre_tokenizer"] = {"type": "Whitespace"}
    (tmp_path / "tokenizer.json").write_text(json.dumps(found), encoding="utf-8")
    theirs = TextTokenizer.load(tmp_path / "tokenizer.json", {}, {"pad_token": "<|endoftext|>"})
    texts = sentences(500)
    np.testing.assert_array_equal(theirs(texts), SIMPLE(texts).numpy())


@pytest.mark.parametrize("clean", ["lower", "whitespace", "canonicalize"])
def test_cleaning_equals_open_clip(clean: str) -> None:
    from open_clip.tokenizer import get_clean_fn

    from searcher.models.tokenizer import CLEANERS

    theirs = get_clean_fn(clean)
    for text in sentences(1500):
        assert CLEANERS[clean](text) == theirs(text)


def test_an_unknown_cleaning_is_rejected() -> None:
    with pytest.raises(ValueError, match="scrub"):
        TextTokenizer(clip_tokenizer(SIMPLE), {"tokenizer_kwargs": {"clean": "scrub"}}, {})
