from __future__ import annotations

from curation.attributes import MAX_FIELD_VALUES, FieldVocabulary, compare_attributes
from curation.text import normalise, split_negation

DOCS = [
    {"colour": "Blue", "material": "Leather", "brand": "Orange", "category": "Sofas"},
    {"colour": "Dark Blue", "material": "Velvet", "brand": "Acme", "category": "Desk Lamps"},
    {"colour": "Red|White", "material": "Solid Oak Wood Veneer Board", "width_cm": "80", "in_stock": "yes"},
    {"colour": "Orange"},
]
VOCABULARY = FieldVocabulary.from_docs(DOCS)


def asked(query: str) -> tuple[list[str], list[str]]:
    normal = normalise(query)
    found = VOCABULARY.find_asked(normal, split_negation(normal))
    return [str(a) for a in found.wanted], [str(a) for a in found.ruled_out]


def verdicts(query: str, fields: dict[str, str]) -> tuple[list[str], list[str]]:
    normal = normalise(query)
    found = compare_attributes(VOCABULARY.find_asked(normal, split_negation(normal)), VOCABULARY.of_doc(fields))
    return [str(a) for a in found.matched], [str(a) for a in found.conflicting]


def test_a_value_of_the_corpus_in_the_query_is_an_attribute() -> None:
    assert asked("blue leather sofa") == (["colour=blue", "material=leather", "category=sofas"], [])


def test_within_a_field_the_longest_phrase_counts() -> None:
    assert asked("dark blue thing") == (["colour=dark blue"], [])


def test_long_numeric_and_yes_no_values_are_no_attributes() -> None:
    assert asked("solid oak wood veneer board 80 yes") == ([], [])


def test_a_list_of_values_is_taken_apart() -> None:
    assert asked("white") == (["colour=white"], [])


def test_a_field_with_very_many_values_is_left_out() -> None:
    names = [f"model{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(MAX_FIELD_VALUES + 1)]
    assert FieldVocabulary.from_docs([{"model": name} for name in names]).phrases == {}
    assert len(FieldVocabulary.from_docs([{"model": name} for name in names[1:]]).phrases) == MAX_FIELD_VALUES


def test_a_doc_agrees_with_its_own_value_or_a_narrower_one() -> None:
    assert verdicts("blue sofa", {"colour": "Blue"}) == (["colour=blue"], [])
    assert verdicts("blue sofa", {"colour": "Dark Blue"}) == (["colour=blue"], [])


def test_a_wider_value_neither_agrees_nor_conflicts() -> None:
    assert verdicts("dark blue sofa", {"colour": "Blue"}) == ([], [])


def test_another_value_conflicts_and_an_absent_field_does_not() -> None:
    assert verdicts("leather sofa", {"material": "Velvet"}) == ([], ["material=leather"])
    assert verdicts("leather sofa", {"brand": "Acme"}) == ([], [])


def test_a_word_that_agrees_in_one_field_contradicts_no_other() -> None:
    assert asked("orange sofa")[0] == ["brand=orange", "colour=orange", "category=sofas"]
    assert verdicts("orange", {"brand": "Acme", "colour": "Orange"}) == (["colour=orange"], [])
    assert verdicts("orange", {"brand": "Acme", "colour": "Blue"}) == ([], ["brand=orange", "colour=orange"])


def test_a_ruled_out_value_conflicts_when_the_doc_has_it() -> None:
    assert asked("sofa not red") == (["category=sofas"], ["colour=red"])
    assert verdicts("sofa not red", {"colour": "Red|White"}) == ([], ["colour=red"])
    assert verdicts("sofa not red", {"colour": "Blue"}) == (["colour=red"], [])
    assert verdicts("sofa not red", {"brand": "Acme"}) == ([], [])


def test_attributes_of_an_unspaced_script_are_found_inside_a_run() -> None:
    vocabulary = FieldVocabulary.from_docs([{"颜色": "红色"}, {"颜色": "蓝色"}])
    normal = normalise("不要红色的蓝色沙发")
    found = vocabulary.find_asked(normal, split_negation(normal))
    assert [str(a) for a in found.wanted] == ["颜色=蓝色"]
    assert [str(a) for a in found.ruled_out] == ["颜色=红色"]
