"""From a source's rows to queries, docs, pairs and judgments: checked once, here, and nothing lost silently.

Whatever is refused becomes a reject with its line, reason and record. Two rows that contradict each other about a
grade are both set aside: afrel does not pick. The pure part; reading files and the store is done by the callers.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl

from curation.completion import STEP_LABELS, Step, one_line, steps_to_json
from curation.ingest_files import LINE, Reject
from curation.splits import normalise_split, split_of
from storage.errors import UserError
from storage.grades import Scale
from storage.ids import content_id

ROLES = ("query", "query_id", "doc", "doc_id", "title", "body", "grade", "rationale", "split")
FIELD_PREFIX = "field."


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """Which column plays which role. `fields` maps a doc field's name to its column."""

    roles: Mapping[str, str]
    fields: Mapping[str, str]

    @property
    def has_query_text(self) -> bool:
        return "query" in self.roles

    @property
    def has_doc_text(self) -> bool:
        return bool({"doc", "title", "body"} & set(self.roles)) or bool(self.fields)


def parse_map(text: str, columns: Iterable[str]) -> ColumnMap:
    """Read `query=query,doc=title,grade=label,field.brand=brand`; UserError names all that is wrong with it."""
    known = set(columns)
    roles: dict[str, str] = {}
    fields: dict[str, str] = {}
    wrong = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        role, separator, column = (p.strip() for p in part.partition("="))
        if not separator or not column:
            wrong.append(f"{part!r} is not ROLE=COLUMN")
        elif role not in ROLES and not (role.startswith(FIELD_PREFIX) and len(role) > len(FIELD_PREFIX)):
            wrong.append(f"unknown role {role!r}")
        elif column not in known:
            wrong.append(f"no column {column!r}")
        elif role in roles or role[len(FIELD_PREFIX) :] in fields:
            wrong.append(f"role {role!r} given twice")
        elif role in ROLES:
            roles[role] = column
        else:
            fields[role[len(FIELD_PREFIX) :]] = column
    mapped = ColumnMap(roles, fields)
    if "grade" in roles and not wrong:
        if not ({"query", "query_id"} & set(roles)):
            wrong.append("a grade needs query or query_id")
        if not (mapped.has_doc_text or "doc_id" in roles):
            wrong.append("a grade needs doc, title or doc_id")
    if not wrong and not roles and not fields:
        wrong.append("it maps nothing")
    if wrong:
        raise UserError(
            f"--map {text!r}: {'; '.join(wrong)}. Roles: {', '.join(ROLES)}, field.NAME. "
            f"Columns of the file: {', '.join(sorted(known - {LINE}))}"
        )
    return mapped


def parse_grade_map(text: str, scale: Scale) -> dict[str, int]:
    """Read `4=3,3=2` (source value = grade); UserError for a target off the scale."""
    mapped: dict[str, int] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        value, separator, target = (p.strip() for p in part.partition("="))
        grade = scale.find(target) if separator else None
        if grade is None or value in mapped:
            raise UserError(
                f"--grades {part!r} repeats a value or is not VALUE=GRADE with a grade of {list(scale.values)}"
            )
        mapped[value] = grade
    return mapped


@dataclass(frozen=True, slots=True)
class Known:
    """What the store holds already: external ids, splits by query id, import grades by pair id.

    `query_ids` and `doc_ids` are this source's own. Another source's ids (`other_…`) only serve a source that has none
    of its own: two shops both count from 1.
    """

    query_ids: Mapping[str, str] = field(default_factory=dict)
    doc_ids: Mapping[str, str] = field(default_factory=dict)
    other_query_ids: Mapping[str, str] = field(default_factory=dict)
    other_doc_ids: Mapping[str, str] = field(default_factory=dict)
    splits: Mapping[str, str] = field(default_factory=dict)
    grades: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Ingested:
    """Rows by table, without run and time; rejects; and harmless repeats counted."""

    queries: dict[str, dict[str, str]] = field(default_factory=dict)
    docs: dict[str, dict[str, str]] = field(default_factory=dict)
    pairs: dict[str, dict[str, str]] = field(default_factory=dict)
    judgments: dict[str, dict[str, object]] = field(default_factory=dict)
    external_ids: dict[str, dict[str, str]] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    n_rows: int = 0
    n_repeated: int = 0
    n_ungraded: int = 0


def normal_text(text: str | None) -> str:
    """Return text as it is identified: NFC, runs of white space as one space, trimmed."""
    return " ".join(unicodedata.normalize("NFC", text or "").split())


def query_id_of(text: str) -> str:
    """Return a query's id: the hash of its normal text."""
    return content_id("q", normal_text(text))


def doc_id_of(title: str, body: str, fields: Mapping[str, str]) -> str:
    """Return a doc's id: the hash of its normal title and body and its fields."""
    return _id_of_normal_doc(normal_text(title), normal_text(body), fields)


def _id_of_normal_doc(title: str, body: str, fields: Mapping[str, str]) -> str:
    return content_id("d", title, body, dict(fields))


def pair_id_of(query_id: str, doc_id: str) -> str:
    """Return a pair's id."""
    return content_id("p", query_id, doc_id)


class _RefusedError(Exception):
    """A row that cannot be taken; becomes a reject."""

    def __init__(self, reason: str, value: object) -> None:
        super().__init__(reason)
        self.reason, self.value = reason, value


def ingest_rows(
    frame: pl.DataFrame,
    columns: ColumnMap,
    *,
    scale: Scale,
    grade_map: Mapping[str, int],
    source: str,
    known: Known,
) -> Ingested:
    """Check every row and return what is to be appended; each refused row becomes one reject."""
    result = Ingested(n_rows=len(frame))
    reader = _RowReader(columns, scale, grade_map, source, known, result)
    for row in frame.iter_rows(named=True):
        try:
            reader.take(row)
        except _RefusedError as refused:
            value = None if refused.value is None else str(refused.value)
            result.rejects.append(Reject(int(row[LINE]), refused.reason, value, _shown(row)))
    reader.settle()
    return result


@dataclass(frozen=True, slots=True)
class _Graded:
    """A row that grades a pair."""

    row: Mapping[str, str | None]
    grade: int
    rationale: str | None


class _RowReader:
    """Takes rows one by one; remembers what it saw so that contradictions are found."""

    def __init__(
        self,
        columns: ColumnMap,
        scale: Scale,
        grade_map: Mapping[str, int],
        source: str,
        known: Known,
        result: Ingested,
    ) -> None:
        self._columns, self._scale, self._grade_map = columns, scale, grade_map
        self._source, self._known, self._result = source, known, result
        self._seen_ids = {"query": dict(known.query_ids), "doc": dict(known.doc_ids)}
        self._splits = dict(known.splits)
        self._query_texts: dict[str, tuple[str, str]] = {}
        self._grades: dict[str, list[_Graded]] = {}

    def take(self, row: Mapping[str, str | None]) -> None:
        """Read one row into queries, docs, pairs and graded rows."""
        grade = self._grade(row)
        query_id = self._query(row)
        doc_id = self._doc(row)
        if query_id is None or doc_id is None:
            return
        pair_id = pair_id_of(query_id, doc_id)
        if pair_id in self._result.pairs and grade is None:
            self._result.n_repeated += 1
        self._result.pairs[pair_id] = {
            "pair_id": pair_id,
            "query_id": query_id,
            "doc_id": doc_id,
            "split": self._splits[query_id],
        }
        if grade is None:
            self._result.n_ungraded += 1
            return
        self._grades.setdefault(pair_id, []).append(_Graded(row, grade, self._cell(row, "rationale")))

    def settle(self) -> None:
        """Turn graded rows into judgments; where they contradict each other or the store, set them aside."""
        for pair_id, graded in self._grades.items():
            distinct = {one.grade for one in graded}
            held = self._known.grades.get(pair_id)
            if len(distinct) > 1 or (held is not None and distinct != {held}):
                # a held grade is not told: it may be a test grade
                against = " vs ".join(map(str, sorted(distinct)))
                if held is not None:
                    against += ", and another judgment is held"
                for one in graded:
                    line = int(one.row[LINE] or 0)
                    self._result.rejects.append(Reject(line, "conflicting_judgments", against, _shown(one.row)))
                continue
            self._result.n_repeated += len(graded) - 1
            # the id must not tell the grade: one judgment a source and pair
            judgment_id = content_id("j", "import", self._source, pair_id)
            self._result.judgments[judgment_id] = {
                "judgment_id": judgment_id,
                "pair_id": pair_id,
                "grade": graded[0].grade,
                "steps": rationale_to_steps(graded[0].rationale),
            }

    def _query(self, row: Mapping[str, str | None]) -> str | None:
        if not self._columns.has_query_text:
            return self._by_external_id(row, "query") if "query_id" in self._columns.roles else None
        given = self._cell(row, "query") or ""
        if given not in self._query_texts:  # a query comes back with each of its docs
            self._query_texts[given] = (normal_text(given), query_id_of(given))
        text, query_id = self._query_texts[given]
        if not text:
            raise _RefusedError("empty_query", None)
        external_id = self._claim_external_id(row, "query", query_id)
        split = self._split(row, query_id, text)
        self._splits[query_id] = split
        if query_id not in self._known.splits:
            self._result.queries[query_id] = {"query_id": query_id, "text": text, "split": split}
        self._remember("query", external_id, query_id)
        return query_id

    def _doc(self, row: Mapping[str, str | None]) -> str | None:
        if not self._columns.has_doc_text:
            return self._by_external_id(row, "doc") if "doc_id" in self._columns.roles else None
        title, body = self._cell(row, "title") or "", self._cell(row, "body") or ""
        whole = self._cell(row, "doc") or ""
        title, body = (title, body or whole) if "title" in self._columns.roles else (whole, body)
        title, body = normal_text(title), normal_text(body)
        if not title and not body:
            raise _RefusedError("empty_doc", None)
        fields = {
            name: normal_text(row[column]) for name, column in self._columns.fields.items() if normal_text(row[column])
        }
        doc_id = _id_of_normal_doc(title, body, fields)
        external_id = self._claim_external_id(row, "doc", doc_id)
        text = json.dumps(fields, ensure_ascii=False, sort_keys=True) if fields else "{}"
        self._result.docs[doc_id] = {"doc_id": doc_id, "title": title, "body": body, "fields": text}
        self._remember("doc", external_id, doc_id)
        return doc_id

    def _split(self, row: Mapping[str, str | None], query_id: str, text: str) -> str:
        given = self._cell(row, "split")
        held = self._splits.get(query_id)
        if given is None or not given.strip():
            return held or split_of(text)
        split = normalise_split(given)
        if split is None:
            raise _RefusedError("unknown_split", given)
        if held is not None and held != split:
            raise _RefusedError("split_conflict", f"{split}, but the query is in {held}")
        return split

    def _grade(self, row: Mapping[str, str | None]) -> int | None:
        given = self._cell(row, "grade")
        if given is None or not given.strip():
            return None
        grade = self._grade_map.get(given.strip()) if self._grade_map else None
        if grade is None:
            grade = self._scale.find(given)
        if grade is None:
            raise _RefusedError("unmapped_grade", given)
        return grade

    def _claim_external_id(self, row: Mapping[str, str | None], kind: str, own_id: str) -> str | None:
        """Return the row's external id, refused when it already stands for another text."""
        external_id = self._cell(row, f"{kind}_id")
        if external_id and self._seen_ids[kind].get(external_id, own_id) != own_id:
            raise _RefusedError("one_id_with_two_texts", external_id)
        return external_id

    def _remember(self, kind: str, external_id: str | None, own_id: str) -> None:
        if not external_id or self._seen_ids[kind].get(external_id) == own_id:
            return
        self._seen_ids[kind][external_id] = own_id
        key = content_id("x", self._source, kind, external_id)
        self._result.external_ids[key] = {
            "external_id_id": key,
            "kind": kind,
            "external_id": external_id,
            "content_id": own_id,
        }

    def _by_external_id(self, row: Mapping[str, str | None], kind: str) -> str:
        external_id = self._cell(row, f"{kind}_id")
        if not external_id:
            raise _RefusedError(f"empty_{kind}_id", None)
        others = self._known.other_query_ids if kind == "query" else self._known.other_doc_ids
        own_id = (self._seen_ids[kind] or others).get(external_id)
        if own_id is None:
            raise _RefusedError(f"unknown_{kind}_id", external_id)
        if kind == "query":
            self._splits[own_id] = self._split(row, own_id, "")
        return own_id

    def _cell(self, row: Mapping[str, str | None], role: str) -> str | None:
        column = self._columns.roles.get(role)
        return row[column] if column is not None else None


def _shown(row: Mapping[str, str | None]) -> str:
    """Return a row as a reject keeps it."""
    return json.dumps({name: value for name, value in row.items() if name != LINE}, ensure_ascii=False)


def rationale_to_steps(text: str | None) -> str | None:
    """Return an imported rationale as stored steps: labelled lines as they are, prose as one `attributes` step."""
    if not text or not text.strip():
        return None
    steps = []
    for line in text.splitlines():
        label, separator, rest = line.partition(":")
        if separator and label.strip() in STEP_LABELS and one_line(rest):
            steps.append(Step(label.strip(), one_line(rest)))
        else:
            return steps_to_json([Step("attributes", one_line(text))])
    in_order = [STEP_LABELS.index(step.label) for step in steps]
    if in_order != sorted(set(in_order)):
        return steps_to_json([Step("attributes", one_line(text))])
    return steps_to_json(steps)
