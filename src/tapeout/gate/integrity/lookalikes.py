"""Letters of other alphabets that look like Latin ones. Pure.

The table holds those that are drawn the same in ordinary fonts, from Unicode's confusables.txt (UTS 39). What only
resembles a letter is left out: names in Greek or Cyrillic raise no alarm by themselves.
"""

import re
import unicodedata

_CYRILLIC = dict(
    zip(
        "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0455\u0458\u04bb\u0501\u051b\u051d\u04cf\u0410"
        "\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0406\u0405\u0408\u050c\u051a"
        "\u051c\u04ae",
        "aeopcyxisjhdqwlABEKMHOPCTYXISJGQWY",
        strict=True,
    )
)
_GREEK = dict(
    zip(
        "\u03bf\u03bd\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7",
        "ovABEZHIKMNOPTYX",
        strict=True,
    )
)
_ARMENIAN = dict(
    zip(
        "\u0585\u057d\u0570\u0581\u0566",
        "ouhgq",
        strict=True,
    )
)
_OTHERS = dict(
    zip(
        "\u0131\u0261\u0251\u217c\u2215\u2044\u2024\u2010\u2011\u2212\uff3f",
        "igal//.---_",
        strict=True,
    )
)
_LATIN_OF = _CYRILLIC | _GREEK | _ARMENIAN | _OTHERS
_LETTERS = "".join(_CYRILLIC | _GREEK | _ARMENIAN)
_TABLE = str.maketrans(_LATIN_OF)

_WORD = re.compile(r"\w+")
_LATIN = re.compile("[A-Za-z]")
_LOOKALIKE = re.compile(f"[{_LETTERS}]")


def skeleton(text: str) -> str:
    """The same for texts that look the same."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).translate(_TABLE)).casefold()


def mixed_word(text: str) -> str:
    """A word of the text that mixes Latin letters with letters that only look so; empty if there is none."""
    if text.isascii() or not _LOOKALIKE.search(text):
        return ""
    words = (match[0] for match in _WORD.finditer(text))
    return next((word for word in words if _LOOKALIKE.search(word) and _LATIN.search(word)), "")
