"""Personal data in a text: e-mail addresses, phone numbers, id numbers; found with their places, or masked.

Shop texts are full of numbers that are nobody's: sizes, prices, years, EANs, part numbers. So a number counts only
where its form says so: a checksum (resident id, IBAN, payment card), the ranges of a numbering plan with its
separators, a leading `+`, or a word such as `phone:` before it; and never behind a word such as `SKU` or `货号`.
Each pattern runs in linear time, so a text of 10 MB costs seconds at most.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

# One character becomes one, so that places in the changed text are places in the given one.
_PLAIN = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | dict.fromkeys(
    (0x3000, 0xA0, 0x2007, 0x2009, 0x202F), 0x20
) | dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2212), 0x2D)  # fmt: skip

# Every form has an at sign or six digits with little between them; most texts have neither and are done with here.
_MAY_BE = re.compile(r"[@＠]|\d(?:[ \u00a0\u2007\u2009\u202f\u3000().（）．\-－\u2010-\u2013\u2212]{0,3}\d){5}")

_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+\-])[A-Za-z0-9_%+\-]+(?:\.[A-Za-z0-9_%+\-]+){0,8}"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?\.){1,8}([A-Za-z]{2,24})(?![A-Za-z0-9\-])"
)
_FILE_ENDINGS = {"png", "jpg", "jpeg", "gif", "webp", "svg", "css", "js"}

# A number stands alone: no letter, digit or joining sign touches it, so no part of a longer code is taken for one.
_BEFORE = r"(?<![A-Za-z0-9#/_\-+])(?<!\d[.,])"
_AFTER = r"(?![A-Za-z0-9_/\-]|[.,]\d)"
_INTERNATIONAL = re.compile(r"(?<![A-Za-z0-9#/_\-+.,])\+[1-9](?:[ .\-]?\(?\d\)?){7,14}" + _AFTER)
_AREA = r"(?:800|[2-9](?:[1-9]\d|0[1-9]))"  # 600-800-1000 is a row of sizes
_US = re.compile(
    _BEFORE
    + rf"(?:1[ .\-])?(?:\({_AREA}\) ?[2-9]\d{{2}}[.\-]|{_AREA}-[2-9]\d{{2}}-|{_AREA}\.[2-9]\d{{2}}\.)\d{{4}}"
    + _AFTER
    + r"(?! ?(?:[WVKLG]|[mck]?[mgl]|kw|hz|rpm|pcs)\b)"
)
_CHINESE_MOBILE = re.compile(
    _BEFORE + r"1(?:3\d|4[5-9]|5[0-35-9]|6[2567]|7[0-8]|8\d|9[0-35-9])(?:\d{8}|-\d{4}-\d{4}| \d{4} \d{4})" + _AFTER
)
_NAMED_PHONE = re.compile(
    r"(?i:(?<![A-Za-z])(?:tel|phone|mobile|cell|fax|whatsapp)\.?|电话|手机号?码?|联系方式) ?[:：] ?"
    r"(\(?\d(?:[ .\-()]{0,2}\d){6,14})" + _AFTER
)

_RESIDENT_ID = re.compile(r"(?<![A-Za-z0-9])[1-8]\d{16}[0-9Xx](?![A-Za-z0-9])")
_RESIDENT_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_PROVINCES = {11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46,
              50, 51, 52, 53, 54, 61, 62, 63, 64, 65, 71, 81, 82, 83}  # fmt: skip
_IBAN = re.compile(r"(?<![A-Za-z0-9])([A-Z]{2})\d{2}(?: ?[A-Z0-9]){11,30}")
_LETTER_OR_DIGIT = re.compile(r"[A-Za-z0-9]")
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "CH": 21,
    "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18,
    "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23,
    "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27,
    "MD": 24, "ME": 22, "MK": 19, "MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25,
    "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "TN": 24, "TR": 26, "UA": 29,
    "VG": 24, "XK": 20,
}  # fmt: skip
# Visa, Mastercard, Discover, JCB and UnionPay of 16 digits, UnionPay of 17 to 19, American Express of 15: lengths
# that EAN-8, UPC, EAN-13 and GTIN-14 do not have.
_CARD = re.compile(
    _BEFORE + r"(?:\d{15,19}|\d{4}([ \-])\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?|3[47]\d{2}([ \-])\d{6}\2\d{5})" + _AFTER
)
_CARD_PREFIX = re.compile(
    r"4\d{15}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|6(?:011|4[4-9]\d|5\d\d)\d{12}"
    r"|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}|3[47]\d{13}"
)
_SSN = re.compile(_BEFORE + r"(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}" + _AFTER)

_CODE_WORD = re.compile(
    r"(?:(?i:(?<![a-z])(?:sku|ean|upc|gtin|isbn|asin|mpn|item|model|part|art|article|ref|reference|order|lot|batch|"
    r"serial|product|catalog(?:ue)?|barcode|patent|nsn|cas)(?:[ .\-]{0,2}(?:no|nr|num|number|code|id))?)"
    r"|货号|型号|编号|条码|条形码|款号|订单号?|批号|品番)[ .:：#=]{0,3}$"
)
_CODE_WORD_REACH = 32


@dataclass(frozen=True, slots=True)
class Personal:
    """One occurrence: `kind` is email, phone or id_number; the text is `text[start:end]`."""

    kind: str
    start: int
    end: int


def find_personal(text: str) -> list[Personal]:
    """Return the personal data of a text in order of appearance; occurrences never overlap, the longer one counts."""
    if _MAY_BE.search(text) is None:
        return []
    plain = text if text.isascii() else text.translate(_PLAIN)
    found: list[Personal] = []
    reached = 0
    for one in sorted(_candidates(plain), key=lambda one: (one.start, -one.end)):
        if one.start >= reached:
            found.append(one)
            reached = one.end
    return found


def mask_personal(text: str) -> str:
    """Return the text with each occurrence replaced by its kind: `<email>`, `<phone>`, `<id_number>`."""
    parts: list[str] = []
    reached = 0
    for one in find_personal(text):
        parts += [text[reached : one.start], f"<{one.kind}>"]
        reached = one.end
    return "".join([*parts, text[reached:]])


def _candidates(text: str) -> Iterator[Personal]:
    if "@" in text:
        for match in _EMAIL.finditer(text):
            if match[1].lower() not in _FILE_ENDINGS:
                yield Personal("email", match.start(), match.end())
    for match in _INTERNATIONAL.finditer(text):
        yield Personal("phone", match.start(), match.end())
    for match in _NAMED_PHONE.finditer(text):
        yield Personal("phone", match.start(1), match.end(1))
    for pattern in (_US, _CHINESE_MOBILE):
        yield from _numbers(pattern, text, "phone", is_one=lambda _: True)
    yield from _numbers(_SSN, text, "id_number", is_one=lambda _: True)
    yield from _numbers(_CARD, text, "id_number", is_one=_is_card)
    for match in _RESIDENT_ID.finditer(text):
        if _is_resident_id(match.group()):
            yield Personal("id_number", match.start(), match.end())
    for match in _IBAN.finditer(text):
        end = _iban_end(text, match)
        if end is not None:
            yield Personal("id_number", match.start(), end)


def _numbers(pattern: re.Pattern[str], text: str, kind: str, *, is_one: Callable[[str], bool]) -> Iterator[Personal]:
    """Yield the matches that no word before them calls a product number."""
    for match in pattern.finditer(text):
        before = text[max(0, match.start() - _CODE_WORD_REACH) : match.start()]
        if _CODE_WORD.search(before) is None and is_one(match.group()):
            yield Personal(kind, match.start(), match.end())


def _is_card(number: str) -> bool:
    """Whether the digits are of a card network's range and pass the Luhn check."""
    digits = re.sub(r"\D", "", number)
    if _CARD_PREFIX.fullmatch(digits) is None or len(set(digits)) == 1:
        return False
    doubled = [int(digit) * (1 + at % 2) for at, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _is_resident_id(number: str) -> bool:
    """Whether a province, a day and the check character of GB 11643 agree."""
    if int(number[:2]) not in _PROVINCES or number[6:8] not in ("18", "19", "20"):
        return False
    try:
        date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(number[:17], _RESIDENT_WEIGHTS, strict=True))
    return "10X98765432"[total % 11] == number[17].upper()


def _iban_end(text: str, match: re.Match[str]) -> int | None:
    """Return where the IBAN that begins a match ends, None when it is none.

    The country says how long it is; the checksum of ISO 13616 (97 leaves 1) must agree.
    """
    places = [at for at in range(match.start(), match.end()) if text[at] != " "]
    length = _IBAN_LENGTHS.get(match[1])
    if length is None or len(places) < length or _LETTER_OR_DIGIT.match(text, places[length - 1] + 1):
        return None
    compact = "".join(text[at] for at in places[:length])
    turned = compact[4:] + compact[:4]
    is_one = int("".join(str(int(character, 36)) for character in turned)) % 97 == 1
    return places[length - 1] + 1 if is_one else None
