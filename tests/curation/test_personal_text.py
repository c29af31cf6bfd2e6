from __future__ import annotations

import time

import pytest

from curation.personal_text import find_personal, mask_personal


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("write to bob.x+shop@ex-ample.co.uk now", "write to <email> now"),
        ("邮箱foo@bar.com，谢谢", "邮箱<email>，谢谢"),
        ("ｆｏｏ＠ｂａｒ．ｃｏｍ", "<email>"),
        ("call (415) 555-0132.", "call <phone>."),
        ("415-555-0132 or 415.555.0132 or 1-415-555-0132", "<phone> or <phone> or <phone>"),
        ("+1 415-555-0132, +44 20 7946 0958", "<phone>, <phone>"),
        ("+49 (30) 901820", "<phone>"),
        ("联系13812345678或138-1234-5678", "联系<phone>或<phone>"),
        ("１３８１２３４５６７８", "<phone>"),
        ("Phone: 020 7946 0958", "Phone: <phone>"),
        ("手机号：138 1234 5678。", "手机号：<phone>。"),
        ("id 11010519491231002X", "id <id_number>"),
        ("IBAN DE89 3704 0044 0532 0130 00.", "IBAN <id_number>."),
        ("GB82WEST12345698765432", "<id_number>"),
        ("NO93 8601 1117 947 AND MORE", "<id_number> AND MORE"),
        ("card 4111 1111 1111 1111, 378282246310005", "card <id_number>, <id_number>"),
        ("ssn 123-45-6789", "ssn <id_number>"),
    ],
)
def test_personal_data_is_found_and_masked(text: str, masked: str) -> None:
    assert mask_personal(text) == masked
    assert mask_personal(masked) == masked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "EAN 5901234123457, UPC 036000291452, GTIN-14 10012345678902",
        "5901234123457",
        "ISBN 978-3-16-148410-0",
        "SKU 13812345678",
        "货号：13812345678",
        "item no. 415-555-0132",
        "part #123-45-6789",
        "AB-13812345678-X",
        "$19.99, 1,299.00 €, ¥1,280",
        "2019-2020-2021 model, 1998",
        "10x20x30 cm, 1920x1080, 600-800-1000 W",
        "logo@2x.png",
        "a @ b, @home",
        "+5 to +10 degrees",
        "C++17, 3+1",
        "192.168.100.200",
        "serial 4111111111111111",
        "11010519491231002",  # a digit short
        "110105194912310021",  # a wrong check character: X is right
        "110105194913310021",  # month 13
        "DE89 3704 0044 0532 0130 01",  # a wrong checksum
        "4111111111111112",  # a wrong check digit
        "000-12-3456, 123-00-4567, 900-12-3456",
        "12345678901",
        "مصباح أحمر 60 سم 💡 200W",
    ],
)
def test_numbers_of_products_are_nobodys(text: str) -> None:
    assert find_personal(text) == []


def test_places_are_places_in_the_given_text() -> None:
    text = "💡 ｔｅｌ： ４１５-５５５-０１３２ and a@b.org"
    assert [(one.kind, text[one.start : one.end]) for one in find_personal(text)] == [
        ("phone", "４１５-５５５-０１３２"),
        ("email", "a@b.org"),
    ]


@pytest.mark.parametrize("piece", ["1 ", "12-", "a.", "+1", "A1 ", "@a.b", "(", "tel: 1", "x@y.", "1"])
def test_a_long_text_made_to_be_hard_costs_linear_time(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    started = time.process_time()
    find_personal(text)
    assert time.process_time() - started < 3  # a bound on backtracking only: linear takes 0.05
