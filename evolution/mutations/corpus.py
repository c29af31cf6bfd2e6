"""What the workspace itself offers to swap with: field values and what goes with what, kinds and their shelf, words
that queries use in one another's place.

No ontology and no list of brands: that mugs come in blue, that a mug stands on the shelf `tableware`, and that one city
may be asked for instead of another is read off the docs' fields and the train queries.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from curation.attributes import BRAND_FIELDS, Attribute, FieldVocabulary
from curation.quantities import UNITS, find_quantities
from curation.text import is_unspaced, normalise
from evolution.mutations.query_slots import QuerySlots

N_CHOICES = 5  # another value is drawn from the most fitting few
MIN_FIT = 0.5
MIN_DETERMINED = 0.95  # share of a kind's docs that stand on its shelf
MAX_SHELF_RATE = 0.5  # shelves are fewer than kinds, at most half as many
# Field names that say what a thing is, the narrowest first, and where it is.
KIND_FIELDS = ("type", "product_type", "kind", "product_kind", "item_type", "类型", "品类", "category", "类目")
PLACE_FIELDS = frozenset({"location", "city", "region", "country", "province", "地点", "城市", "地区", "国家", "省份"})


class Corpus:
    """The attributes of all docs, and the wordings of the train queries."""

    def __init__(self, fields: Iterable[Mapping[str, str]], queries: Sequence[str] = ()) -> None:
        held = list(fields)
        self.vocabulary = FieldVocabulary.from_docs(held)
        self.slots = QuerySlots(queries)
        self._company: defaultdict[Attribute, Counter[Attribute]] = defaultdict(Counter)
        self._n_docs: Counter[Attribute] = Counter()
        self._sizes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for doc in held:
            attributes = self.vocabulary.of_doc(doc)
            self._n_docs.update(attributes)
            for attribute in attributes:
                self._company[attribute].update(other for other in attributes if other.field != attribute.field)
            self._read_sizes(doc)
        self._values: defaultdict[str, list[Attribute]] = defaultdict(list)
        for attribute in sorted(self._company):
            self._values[attribute.field].append(attribute)

    def others(self, attribute: Attribute, held: Iterable[Attribute]) -> list[Attribute]:
        """Return other values of the field, none of them the doc's, those that best go with its attributes first.

        A value must be seen together with at least half of what the doc has, rare attributes counting for more: mugs
        come in other colours, not in another department.
        """
        mine = dict.fromkeys(held)  # in order: a sum of floats must not depend on how a set is laid out
        company = {a: 1.0 / self._n_docs[a] for a in mine if a.field != attribute.field}
        least = MIN_FIT * sum(company.values())
        fit = {
            a: sum(weight for other, weight in company.items() if other in self._company[a])
            for a in self._values[attribute.field]
            if a not in mine and a != attribute
        }
        fitting = [a for a, weight in fit.items() if weight >= least]
        return sorted(fitting, key=lambda a: (-fit[a], a))[:N_CHOICES]

    def sizes(self, dimension: str) -> list[str]:
        """Return the sizes of a dimension as docs write them, the commonest first."""
        return [size for size, _ in sorted(self._sizes[dimension].items(), key=lambda one: (-one[1], one[0]))]

    @cached_property
    def kind_field(self) -> str | None:
        """The field that says what a thing is, None where docs have none."""
        return next((name for name in KIND_FIELDS if self._values.get(name)), None)

    @cached_property
    def shelf_field(self) -> str | None:
        """The field that a kind determines and that many kinds share (`tableware`), None where there is none."""
        if self.kind_field is None:
            return None
        options = [name for name in self._values if self._is_shelf(name)]
        return min(options, key=lambda name: (name not in KIND_FIELDS, len(self._values[name]), name), default=None)

    def shelf_of(self, kind: Attribute) -> Attribute | None:
        """Return the shelf of a kind."""
        return self._shelf(kind, self.shelf_field) if self.shelf_field else None

    def kinds_on(self, shelf: Attribute) -> list[Attribute]:
        """Return the kinds of a shelf."""
        return [kind for kind in self._values[self.kind_field or ""] if self.shelf_of(kind) == shelf]

    def wider(self, attribute: Attribute) -> list[Attribute]:
        """Return values of the field that this one says and more: `blue` of `dark blue`."""
        tails = (Attribute(attribute.field, tail) for tail in _tails(attribute.value))
        return [a for a in tails if a in self._company]

    def narrower(self, attribute: Attribute) -> list[Attribute]:
        """Return values of the field that say this one and more: `dark blue` of `blue`."""
        return list(self._narrower.get(attribute, ()))

    def is_detail(self, field: str) -> bool:
        """Say whether a field is neither what a thing is, nor its shelf, brand or place."""
        return field not in {self.kind_field, self.shelf_field} | BRAND_FIELDS | PLACE_FIELDS

    @cached_property
    def _narrower(self) -> Mapping[Attribute, list[Attribute]]:
        found: defaultdict[Attribute, list[Attribute]] = defaultdict(list)
        for attribute in sorted(self._company):
            for wider in self.wider(attribute):
                found[wider].append(attribute)
        return found

    def _is_shelf(self, name: str) -> bool:
        kinds = self._values[self.kind_field or ""]
        if name == self.kind_field or len(self._values[name]) > MAX_SHELF_RATE * len(kinds):
            return False
        shelves = [self._shelf(kind, name) for kind in kinds]
        return len(set(shelves)) > 1 and sum(shelf is not None for shelf in shelves) >= MIN_DETERMINED * len(kinds)

    def _shelf(self, kind: Attribute, field: str) -> Attribute | None:
        company = [(n, a) for a, n in self._company[kind].items() if a.field == field]
        n, shelf = max(company, default=(0, None))
        return shelf if n >= MIN_DETERMINED * self._n_docs[kind] else None

    def _read_sizes(self, doc: Mapping[str, str]) -> None:
        for text in doc.values():
            found = find_quantities(normalise(text))
            if len(found) == 1 and found[0].dimension in _SIZE_DIMENSIONS:
                self._sizes[found[0].dimension or ""][text.strip()] += 1


def _tails(value: str) -> list[str]:
    """Return the ends of a value that may be a value: its last words, or last characters of an unspaced script."""
    if is_unspaced(value):
        return [value[start:] for start in range(1, len(value) - 1)]
    words = value.split()
    return [" ".join(words[start:]) for start in range(1, len(words))]


_SIZE_DIMENSIONS = {dimension for dimension, _ in UNITS.values()}
