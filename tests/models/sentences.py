"""Texts that are hard for tokenizers: many scripts, emoji, HTML entities and broken encodings."""

import random
import unicodedata

_LATIN = r"""don't I'LL we've dog's DOG'S CAFÉ café naïve <b> &amp; &lt;b&gt; &amp;amp; &eacute; ﬁsh ſ 'ſ
İstanbul ß ǅ Ω K … — “quoted” ‘it’s’ â€™ schÃ¶n 1234 3.14 ½ ² ⅷ _ __init__ a_b @user #tag
http://x.y/z?q=1&r=2 a photo of a cat"""
_OTHERS = """👨‍👩‍👧‍👦 🇩🇪 ❤️ 🏳️‍🌈 日本語 中文字 한국어 العربية עברית हिन्दी ไทย ქართული русский ελληνικά"""
_BLANKS = ["\u200b", "\u00a0", "\t", "\n", "\x85", "\x1c", "\x07", "\ufeff", "\ufffd"]
PIECES = [*_LATIN.split(), *_OTHERS.split(), *_BLANKS]
LETTERS = [chr(c) for c in range(0x20, 0x20000) if unicodedata.category(chr(c))[0] in "LNPSMZ"]


def sentences(count: int) -> list[str]:
    """Return `count` random texts and three fixed ones, the same on every call.

    They contain words from many scripts, words without spaces between them, and random characters.
    """
    rng = random.Random(0)
    found = []
    for number in range(count):
        length = rng.randint(1, 14)
        pool = LETTERS if number % 3 == 2 else PIECES
        found.append((" " if number % 3 == 0 else "").join(rng.choice(pool) for _ in range(length)))
    return ["", " ", "word " * 200, *found]
