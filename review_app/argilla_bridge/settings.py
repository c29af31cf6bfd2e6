"""What a dataset asks and shows, made of the workspace's scale and guideline alone, so that a change can be told.

Grades go by their numbers and are shown by their names: renaming a grade in Argilla's UI does not change what it means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curation.completion import STEP_LABELS
from review_app.argilla_bridge.likeness import vector_settings
from storage.grades import Scale
from storage.ids import digest

QUERY, TITLE, BODY, ATTRIBUTES = "query", "title", "body", "attributes"
GRADE, RATIONALE, FIRST_WRONG_STEP, COMMENT = "grade", "rationale", "first_wrong_step", "comment"
CANNOT_TELL = "cannot_tell"
RULES, CAUSE, OPERATOR, CONFIDENCE = "rules", "cause", "operator", "confidence"
MOST_GUIDELINE_CHARACTERS = 10_000  # Argilla's bound
MOST_OPTION_CHARACTERS = 500  # Argilla's bound
_CUT = "\n\n[cut here: Argilla takes 10,000 characters. The whole: afrel instructions show]"
_FORMAT = 1  # counts when what is sent of the same scale and guideline changes


@dataclass(frozen=True, slots=True)
class DatasetSettings:
    """A dataset's guideline, fields, questions, metadata and vectors, each as Argilla's interface takes it."""

    guidelines: str | None
    fields: Sequence[Mapping[str, Any]]
    questions: Sequence[Mapping[str, Any]]
    metadata: Sequence[Mapping[str, Any]]
    vectors: Sequence[Mapping[str, Any]]

    @property
    def digest(self) -> str:
        """Sixteen hex digits that change with anything a reviewer is asked or shown."""
        parts = [_FORMAT, self.guidelines, *map(list, (self.fields, self.questions, self.metadata, self.vectors))]
        return digest(parts)[:16]


def settings_of(scale: Scale, guideline: str) -> DatasetSettings:
    """Return the settings of a workspace's datasets."""
    grades = [
        {"value": scale.token(grade), "text": cut(f"{scale.token(grade)} {scale.name(grade)}", MOST_OPTION_CHARACTERS)}
        for grade in scale.values
    ]
    grades.append({"value": CANNOT_TELL, "text": "cannot tell"})
    steps = [{"value": label, "text": label} for label in STEP_LABELS]
    text = {"type": "text", "use_markdown": False}
    return DatasetSettings(
        guidelines=guideline_text(guideline),
        # never markdown: query and doc are other people's text
        fields=[
            {"name": name, "title": name.capitalize(), "required": name == QUERY, "settings": text}
            for name in (QUERY, TITLE, BODY, ATTRIBUTES)
        ],
        questions=[
            _question(GRADE, "Grade", {"type": "label_selection", "options": grades}, required=True),
            _question(
                RATIONALE,
                "Rationale",
                text,
                description=f"One reason a line, each begun with {', '.join(STEP_LABELS)} and a colon; or free text.",
            ),
            _question(
                FIRST_WRONG_STEP,
                "First wrong step",
                {"type": "label_selection", "options": steps},
                description="The first step of the suggested rationale that is wrong, if one is.",
            ),
            _question(
                COMMENT, "Comment", text, description="A word to the curators. With Discard: why there is no grade."
            ),
        ],
        metadata=[
            _property(RULES, "Rules cited", "terms"),
            _property(CAUSE, "Why asked", "terms"),
            _property(OPERATOR, "Mutation", "terms"),
            _property(CONFIDENCE, "Confidence", "float"),
        ],
        vectors=[vector_settings()],
    )


def guideline_text(text: str) -> str | None:
    """Return a guideline as Argilla takes it: None when empty, cut with a word about it when too long."""
    text = clean(text).strip()
    if len(text) > MOST_GUIDELINE_CHARACTERS:
        return text[: MOST_GUIDELINE_CHARACTERS - len(_CUT)] + _CUT
    return text or None


def edited_by_hand(settings: DatasetSettings, fields: Sequence[Any], questions: Sequence[Any]) -> list[str]:
    """Return in words how a dataset on the server differs from what was made: what is missing, added or otherwise."""
    return [
        *_differences("field", settings.fields, fields),
        *_differences("question", settings.questions, questions),
    ]


def lacks_grade(scale: Scale, questions: Sequence[Any]) -> str | None:
    """Return in words why a dataset's answers cannot be read, None where they can: its grades must be on the scale."""
    for question in questions:
        if question["name"] == GRADE:
            if question["settings"]["type"] != "label_selection":
                return f"its question {GRADE!r} is no choice of a grade any more"
            known = {*map(scale.token, scale.values), CANNOT_TELL}
            strange = sorted({option["value"] for option in question["settings"]["options"]} - known)
            return f"its question {GRADE!r} offers {', '.join(strange)}, off the scale" if strange else None
    return f"its question {GRADE!r} was removed"


def clean(text: str) -> str:
    """Return a text that JSON and every database carry: no lone surrogates, no NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\ufffd")


def cut(text: str, most: int) -> str:
    """Return a clean text of at most so many characters, with a word about what is not there."""
    text = clean(text)
    if len(text) <= most:
        return text
    told = f" […] [cut: {len(text):,} characters]"
    return text[: max(0, most - len(told))] + told


def _question(
    name: str, title: str, settings: Mapping[str, Any], *, required: bool = False, description: str | None = None
) -> dict[str, Any]:
    described = {} if description is None else {"description": description}
    return {"name": name, "title": title, "required": required, "settings": settings, **described}


def _property(name: str, title: str, kind: str) -> dict[str, Any]:
    return {"name": name, "title": title, "settings": {"type": kind}, "visible_for_annotators": True}


def _differences(kind: str, made: Sequence[Mapping[str, Any]], found: Sequence[Any]) -> list[str]:
    there = {one["name"]: one for one in found}
    told = [f"{kind} {one['name']!r} is missing" for one in made if one["name"] not in there]
    told += [f"{kind} {name!r} was added" for name in there if name not in {one["name"] for one in made}]
    for one in made:
        other = there.get(one["name"])
        if other is not None and _shape(one) != _shape(other):
            told.append(f"{kind} {one['name']!r} was changed")
    return told


def _shape(one: Mapping[str, Any]) -> tuple[Any, ...]:
    """What counts of a field or question: its kind, whether it must be answered, the values it offers."""
    settings = one["settings"]
    offered = sorted(str(option["value"]) for option in settings.get("options") or [])
    return settings["type"], bool(one["required"]), offered
