"""Charts as inline SVG, drawn by hand: curves, a reliability diagram, a confusion matrix, an interval.

Colours come from the page's style, so that both themes and print have theirs. Each chart says in words what it shows
(`title`), and marks carry their figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from storage.training.run_curves import Curve
from trainers.evaluation.calibration import Bin
from trainers.report.html import Html, tag

WIDTH, HEIGHT = 440, 170
LEFT, RIGHT, TOP, BOTTOM = 52, 66, 14, 24
MOST_POINTS = 400
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Mark:
    """A step that is marked on a curve's chart; an alarm stands out, the start of a stage stands back."""

    step: int
    words: str
    is_alarm: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """How steps and values lie on a chart."""

    first: float
    last: float
    low: float
    high: float

    def place(self, step: float, value: float) -> Point:
        """Return where a point lies, in units of the chart."""
        across = (step - self.first) / ((self.last - self.first) or 1)
        up = (value - self.low) / ((self.high - self.low) or 1)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)


def curve_chart(curve: Curve, *, marks: Sequence[Mark] = ()) -> Html:
    """Return the chart of one metric over steps, its last value on the line."""
    return _chart([(curve.thinned(MOST_POINTS), "line", f"{short(curve.values[-1])}")], curve.name, marks=marks)


def recall_chart(curves: Sequence[tuple[Curve, bool]], title: str) -> Html:
    """Return recall over steps, slice by slice, from 0 to 1; those that stand out are named, the others are behind."""
    behind = [(curve, "behind", "") for curve, stands_out in curves if not stands_out]
    ahead = [(curve, "alarm", curve.name[:8]) for curve, stands_out in curves if stands_out]
    return _chart([*behind, *ahead], title, span=(0.0, 1.0))


def _chart(
    lines: Sequence[tuple[Curve, str, str]],
    title: str,
    *,
    marks: Sequence[Mark] = (),
    span: tuple[float, float] | None = None,
) -> Html:
    steps = [step for curve, _, _ in lines for step in curve.steps] + [mark.step for mark in marks]
    values = [value for curve, _, _ in lines for value in curve.values]
    low, high = span or (min(values), max(values))
    if low == high:
        low, high = low - 0.5, high + 0.5
    ticks = ticks_between(low, high)
    frame = Frame(min(steps), max(steps), min(low, ticks[0]), max(high, ticks[-1]))
    drawn = [_rule(frame, tick) for tick in ticks]
    drawn += [_mark(frame, mark) for mark in marks]
    drawn += [_line(frame, curve, kind) for curve, kind, _ in lines]
    labels = spread([frame.place(curve.steps[-1], curve.values[-1])[1] for curve, _, label in lines if label], 12)
    for (curve, kind, label), y in zip([one for one in lines if one[2]], labels, strict=True):
        x, _ = frame.place(curve.steps[-1], 0)
        drawn.append(tag("text", label, x=_at(x + 5), y=_at(y + 4), class_=f"label {kind}"))
    base = HEIGHT - 8
    drawn.append(tag("text", short(frame.first), x=LEFT, y=base, class_="tick"))
    end = tag("text", f"step {short(frame.last)}", x=WIDTH - RIGHT, y=base, class_="tick", text_anchor="end")
    return _figure(title, WIDTH, HEIGHT, *drawn, end)


def reliability_chart(bins: Sequence[Bin]) -> Html:
    """Return how often a model was right where it was so sure; the diagonal is a model that knows itself.

    The area of a dot goes with its n.
    """
    side, edge = 240, 34
    most = max((one.n for one in bins), default=0) or 1

    def at(x: float, y: float) -> Point:
        return edge + x * (side - edge - 8), side - edge - y * (side - edge - 8)

    drawn = []
    for tick in (0.0, 0.5, 1.0):
        (x, bottom), (left, y) = at(tick, 0), at(0, tick)
        drawn.append(tag("line", x1=_at(left), y1=_at(y), x2=side - 8, y2=_at(y), class_="grid"))
        drawn.append(tag("text", short(tick), x=_at(left - 5), y=_at(y + 4), class_="tick", text_anchor="end"))
        drawn.append(tag("text", short(tick), x=_at(x), y=_at(bottom + 14), class_="tick", text_anchor="middle"))
    (x0, y0), (x1, y1) = at(0, 0), at(1, 1)
    drawn.append(tag("line", x1=_at(x0), y1=_at(y0), x2=_at(x1), y2=_at(y1), class_="behind"))
    for one in bins:
        if one.confidence is None or one.accuracy is None:
            continue
        x, y = at(one.confidence, one.accuracy)
        told = tag("title", f"sure by {one.confidence:.2f}, right {one.accuracy:.2f}, n {one.n}")
        radius = 3 + 7 * math.sqrt(one.n / most)
        drawn.append(tag("circle", told, cx=_at(x), cy=_at(y), r=_at(radius), class_="dot"))
    drawn.append(tag("text", "how sure", x=side - 8, y=side - 4, class_="tick", text_anchor="end"))
    return _figure("Reliability: how often right by how sure", side, side, *drawn)


def confusion_table(counts: Sequence[Sequence[int]], grades: Sequence[str]) -> Html:
    """Return the confusion matrix, settled grades down and predicted across; shades are shares of a row."""
    head = tag(
        "tr", tag("th", "settled ↓ model →"), *(tag("th", grade, scope="col") for grade in grades), tag("th", "n")
    )
    rows = []
    for grade, row in zip(grades, counts, strict=True):
        total = sum(row)
        cells = [
            tag("td", n, tag("small", f" {n / total:.0%}" if total else ""), class_=f"shade{shade(n, total)}")
            for n in row
        ]
        rows.append(tag("tr", tag("th", grade, scope="row"), *cells, tag("td", total, class_="quiet")))
    return tag("table", tag("thead", head), tag("tbody", *rows), class_="confusion")


def shade(n: int, total: int) -> int:
    """Return the step of the ramp, 0 to 5, for a share."""
    return 0 if not n or not total else min(5, 1 + int(5 * n / total))


def interval_bar(value: float, low: float, high: float, words: str) -> Html:
    """Return a value from 0 to 1 with its interval, as wide as a cell."""
    width, middle = 120, 7
    x, left, right = (_at(2 + one * (width - 4)) for one in (value, low, high))
    return tag(
        "svg",
        tag("title", words),
        tag("line", x1=2, y1=middle, x2=width - 2, y2=middle, class_="grid"),
        tag("line", x1=left, y1=middle, x2=right, y2=middle, class_="interval"),
        tag("circle", cx=x, cy=middle, r=4, class_="dot"),
        viewBox=f"0 0 {width} {2 * middle}", width=width, height=2 * middle, role="img", class_="bar",
    )  # fmt: skip


def ticks_between(low: float, high: float) -> list[float]:
    """Return some round numbers about a range: 1, 2 or 5 times a power of ten apart, three to six of them."""
    raw = (high - low) / 3
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * size for factor in (1, 2, 5, 10) if factor * size >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(at * step, 12) for at in range(first, last + 1)]


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Return places of labels, moved down as little as keeps them a gap apart; in the order given."""
    moved = list(places)
    last = -math.inf
    for at in sorted(range(len(places)), key=lambda at: places[at]):
        moved[at] = last = max(places[at], last + gap)
    return moved


def short(value: float) -> str:
    """Return a number in few characters."""
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.3g}"


def _figure(title: str, width: int, height: int, *drawn: Html) -> Html:
    svg = tag("svg", tag("title", title), *drawn, viewBox=f"0 0 {width} {height}", role="img")
    return tag("figure", tag("figcaption", title), svg)


def _rule(frame: Frame, value: float) -> Html:
    x, y = frame.place(frame.first, value)
    return tag(
        "g",
        tag("line", x1=_at(x), y1=_at(y), x2=WIDTH - RIGHT, y2=_at(y), class_="grid"),
        tag("text", short(value), x=_at(x - 6), y=_at(y + 4), class_="tick", text_anchor="end"),
    )


def _mark(frame: Frame, mark: Mark) -> Html:
    x, _ = frame.place(mark.step, frame.low)
    kind = "alarm" if mark.is_alarm else "stage"
    sign = tag("text", "▲" if mark.is_alarm else mark.words, x=_at(x + (0 if mark.is_alarm else 3)), y=TOP - 3,
               class_=f"label {kind}", text_anchor="middle" if mark.is_alarm else "start")  # fmt: skip
    line = tag("line", x1=_at(x), y1=TOP, x2=_at(x), y2=HEIGHT - BOTTOM, class_=f"at {kind}")
    return tag("g", tag("title", mark.words), line, sign)


def _line(frame: Frame, curve: Curve, kind: str) -> Html:
    points = [frame.place(step, value) for step, value in zip(curve.steps, curve.values, strict=True)]
    told = tag("title", f"{curve.name}: {short(curve.values[0])} → {short(curve.values[-1])}")
    if len(points) == 1:
        ((x, y),) = points
        return tag("circle", told, cx=_at(x), cy=_at(y), r=3, class_="dot")
    return tag("polyline", told, points=" ".join(f"{_at(x)},{_at(y)}" for x, y in points), class_=kind)


def _at(value: float) -> str:
    return f"{value:.1f}"
