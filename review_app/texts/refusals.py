"""Say in the page's language why something is refused: an error's English sentence is known by its fixed words.

Errors come from other processes as sentences, so a sentence is all there is to go by. Each one that can reach a page
stands in an area `refused_*`: as it is `raised`, or as `en` where the page says the same. Values in it stay as they
are, but for those of `_SAID`, which are sentences themselves. A test finds a sentence here that was changed there.
"""

from __future__ import annotations

import re
import string
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from review_app.texts import texts
from storage.errors import UnavailableError, UserError

AREA = "refused_"
_NUMBER = re.compile(r"[0-9.,]+")  # what a value named `n` or `seconds` is
# values that are words of ours: what is wrong, why, where, a hint, who may not do what
_SAID = frozenset({"what", "why", "where", "hint", "listed", "token", "count", "role", "act"})


@dataclass(frozen=True, slots=True)
class Template:
    """A sentence as it is raised: `fixed` words with a name's value between each two of them."""

    key: str
    fixed: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def of(cls, key: str, raised: str) -> Template:
        """Read a text with `{names}` to fill in."""
        fixed, names, before = [], [], ""
        for words, name, _, _ in string.Formatter().parse(raised):
            before += words
            if name is not None:
                fixed.append(before)
                names.append(name)
                before = ""
        return cls(key, (*fixed, before), tuple(names))

    @property
    def n_fixed(self) -> int:
        return sum(map(len, self.fixed))

    def values(self, said: str) -> dict[str, str] | None:
        """Return the values in a sentence, each up to the first place of the words that follow; None for another."""
        first, *between = self.fixed
        if not self.names:
            return {} if said == first else None
        last = between.pop()
        at, end = len(first), len(said) - len(last)
        if at > end or not (said.startswith(first) and said.endswith(last)):
            return None
        found: dict[str, str] = {}
        for name, words in zip(self.names, between, strict=False):
            place = said.find(words, at, end)
            if place < 0:
                return None
            found.setdefault(name, said[at:place])
            at = place + len(words)
        found.setdefault(self.names[-1], said[at:end])
        return found if all(_NUMBER.fullmatch(found.get(name, "0")) for name in ("n", "seconds")) else None


@cache
def templates() -> tuple[Template, ...]:
    """Return every sentence that can reach a page, those with the most fixed words first."""
    found = []
    for file in resources.files("review_app.texts").iterdir():
        if file.name.startswith(AREA):
            area = file.name.removesuffix(".toml")
            for key, said in tomllib.loads(file.read_text(encoding="utf-8")).items():
                found.append(Template.of(f"{area}.{key}", said.get("raised", said["en"])))
    return tuple(sorted(found, key=lambda template: (-template.n_fixed, template.key)))


def in_words(language: str, said: str) -> str:
    """Return a refusal in a language, line by line; a sentence nobody foresaw stays as it is."""
    found = _find(said)
    if found is not None:
        return _told(language, *found)
    if "\n" in said:
        return "\n".join(_in_line(language, line) for line in said.split("\n"))
    return said


def why_not(language: str, error: UserError) -> str:
    """Return in a language why something was not done."""
    if isinstance(error, UnavailableError):
        return texts(language)["login.store_is_away"]
    return in_words(language, str(error))


def _find(said: str) -> tuple[Template, dict[str, str], str] | None:
    """Return the sentence, its values, and the place told before it: a file, or a table and its key, each with `: `.

    Of two ways to read it, that with more fixed words is right; one that begins with its own words needs no other.
    """
    found: list[tuple[Template, dict[str, str], str]] = []
    place, rest = "", said
    for _ in range(3):
        known = ((template, template.values(rest)) for template in templates())
        read = next(((template, values, place) for template, values in known if values is not None), None)
        if read is not None:
            if read[0].fixed[0]:
                found.append(read)
                break
            found.append(read)
        head, colon, rest = rest.partition(": ")
        if not colon:
            break
        place = f"{place} · {head}" if place else head
    return max(found, key=lambda one: one[0].n_fixed) if found else None


def _told(language: str, template: Template, values: dict[str, str], place: str) -> str:
    told = {name: in_words(language, value) if name in _SAID else value for name, value in values.items()}
    sentence = texts(language)[template.key].format(**told)
    return texts(language)["refused_app.at_place"].format(at=place, said=sentence) if place else sentence


def _in_line(language: str, line: str) -> str:
    words = line.strip()
    return line[: len(line) - len(line.lstrip())] + in_words(language, words)
