"""Convert texts to the same token ids as open_clip's tokenizers, with the `tokenizers` library.

This module cleans the texts (with ftfy, like open_clip). The vocabulary and the merges come from
`textual/tokenizer.json`. For CLIP's own byte-pair encoding, the file's normaliser and splitting are always
replaced by open_clip's. Other tokenizers are used as they are.
"""

import html
import string
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE

DEFAULT_CONTEXT_LENGTH = 77
MAX_CHARACTERS = 1000  # per token of the context; what follows cannot matter, but cleaning it may take minutes
# open_clip's pattern, which ignores case. The text is already lower case, so this matters for two characters only: the
# long s, and the iota subscript (U+0345), which is not in any of the pattern's classes.
CLIP_PATTERN = r"""'[sſ]|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}\x{345}]+"""
# The special tokens as open_clip names them, and as Hugging Face's copy of the same vocabulary names them.
_CLIP_SPECIAL = (("<start_of_text>", "<end_of_text>"), ("<|startoftext|>", "<|endoftext|>"))
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def clean_lower(text: str) -> str:
    """CLIP's own cleaning: fix mojibake, resolve HTML entities, collapse white space and convert to lower case."""
    return clean_whitespace(text).lower()


def clean_whitespace(text: str) -> str:
    """Like `clean_lower`, but keep the case. open_clip does this before a Hugging Face tokenizer."""
    return " ".join(_basic_clean(text).split())


def clean_canonicalize(text: str) -> str:
    """SigLIP's cleaning: like `clean_lower`, but without punctuation."""
    text = _basic_clean(text).replace("_", " ").translate(_NO_PUNCTUATION).lower()
    return " ".join(text.split())


CLEANERS: dict[str, Callable[[str], str]] = {
    "lower": clean_lower,
    "whitespace": clean_whitespace,
    "canonicalize": clean_canonicalize,
}


def _basic_clean(text: str) -> str:
    # Bytes of a shell argument that are not valid UTF-8 become lone surrogates. No tokenizer accepts those.
    text = text.encode("utf-8", "replace").decode("utf-8")
    # ftfy does not change such a text, and importing ftfy takes longer than encoding a short query.
    if text.isascii() and text.isprintable() and "&" not in text:
        return text.strip()
    import ftfy

    return html.unescape(html.unescape(ftfy.fix_text(text))).strip()


class TextTokenizer:
    """Converts texts to token ids of length `context_length`. A long text is truncated but keeps its end token."""

    def __init__(self, tokenizer: Tokenizer, text_config: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        """Adapt `tokenizer` to a model.

        `text_config` is the `text_cfg` of the model config. `settings` is the content of
        `tokenizer_config.json`, of which the padding and separator tokens are used. Raises ValueError for an
        unsupported kind of tokenizer.
        """
        options = text_config.get("tokenizer_kwargs") or {}
        foreign = bool(text_config.get("hf_tokenizer_name"))
        clean = options.get("clean", "whitespace" if foreign else "lower")
        if clean not in CLEANERS:
            raise ValueError(f"unknown text cleaning {clean!r}")
        if text_config.get("tokenizer_mode"):
            raise ValueError(f"unknown tokenizer mode {text_config['tokenizer_mode']!r}")
        self.context_length = int(text_config.get("context_length") or DEFAULT_CONTEXT_LENGTH)
        self._cleaner = CLEANERS[clean]
        self._tokenizer = tokenizer
        self._ends = None if foreign else _clip_ends(tokenizer)
        self._strip = _special_id(tokenizer, settings, "sep_token") if options.get("strip_sep_token") else None
        if self._ends is not None:
            use_clip_splitting(tokenizer)
            tokenizer.no_truncation()
            tokenizer.no_padding()
            self.pad_id = 0
        else:
            if settings.get("padding_side", "right") != "right":
                raise ValueError("a tokenizer that pads on the left is not supported")
            pad = _special_id(tokenizer, settings, "pad_token")
            given = (tokenizer.padding or {}).get("pad_id", 0)
            self.pad_id = int(given) if pad is None else pad
            tokenizer.no_padding()
            tokenizer.enable_truncation(self.context_length)

    @classmethod
    def load(cls, path: Path, text_config: Mapping[str, Any], settings: Mapping[str, Any]) -> "TextTokenizer":
        """Read a `tokenizer.json` file. See `__init__` for the other arguments."""
        return cls(Tokenizer.from_buffer(path.read_bytes()), text_config, settings)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Convert texts to a padded int64 array (n, context_length)."""
        result = np.full((len(texts), self.context_length), self.pad_id, dtype=np.int64)
        cleaned = [self._clean(text) for text in texts]
        encoded = self._tokenizer.encode_batch(cleaned, add_special_tokens=self._ends is None)
        for row, encoding in zip(result, encoded, strict=True):
            ids = encoding.ids
            if self._ends is not None:
                start, end = self._ends
                ids = [start, *ids[: self.context_length - 2], end]
            row[: len(ids)] = ids
        if self._strip is not None:
            result[result == self._strip] = 0
        return result

    def _clean(self, text: str) -> str:
        return self._cleaner(text[: MAX_CHARACTERS * self.context_length])

    def cuts(self, text: str) -> bool:
        """Whether only the beginning of `text` fits into the context."""
        encoding = self._tokenizer.encode(self._clean(text), add_special_tokens=self._ends is None)
        if self._ends is not None:
            return len(encoding.ids) > self.context_length - 2
        return bool(encoding.overflowing)

    def trim(self, ids: np.ndarray) -> np.ndarray:
        """`ids` without the columns at the end that are padding in all rows. Two columns or more remain."""
        last = max(np.flatnonzero((ids != self.pad_id).any(axis=0)), default=0)
        return ids[:, : max(2, last + 1)]

    def mask(self, ids: np.ndarray) -> np.ndarray:
        """The attention mask of `ids`: int64 (n, context_length), 1 for tokens and 0 for padding."""
        return np.asarray(ids != self.pad_id, dtype=np.int64)


def _special_id(tokenizer: Tokenizer, settings: Mapping[str, Any], name: str) -> int | None:
    token = settings.get(name)
    token = token.get("content") if isinstance(token, dict) else token
    found: int | None = tokenizer.token_to_id(token) if token else None
    return found


def _clip_ends(tokenizer: Tokenizer) -> tuple[int, int] | None:
    """The ids of CLIP's start and end tokens. None if this is not CLIP's byte-pair encoding."""
    if not isinstance(tokenizer.model, BPE) or tokenizer.model.end_of_word_suffix != "</w>":
        return None
    for start, end in _CLIP_SPECIAL:
        ids = tokenizer.token_to_id(start), tokenizer.token_to_id(end)
        if ids[0] is not None and ids[1] is not None:
            return ids[0], ids[1]
    return None


def use_clip_splitting(tokenizer: Tokenizer) -> None:
    """Make `tokenizer` split texts like open_clip. No normaliser is needed, because the text is already cleaned."""
    tokenizer.normalizer = normalizers.Sequence([])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CLIP_PATTERN), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
