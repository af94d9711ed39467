"""Small charts as SVG text: a line chart, a before-and-after chart, and a dot plot. No script, no outside font."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 620, 250  # of a line chart, px
LEFT, RIGHT, TOP, BOTTOM = 46, 112, 14, 30  # margins, px
COLOURS = ("#0f766e", "#b45309", "#1d4ed8", "#9d174d", "#4d7c0f", "#6d28d9", "#57534e", "#0369a1", "#be123c")

Curve = Sequence[tuple[float, float]]


def line_chart(curves: Mapping[str, Curve], *, x_label: str, y_label: str, zero: bool = False) -> str:
    """Curves over a common axis, each named at its end; empty text without points.

    Args:
        curves: name -> points (x, y); unknown y (None or NaN) is left out.
        x_label: what x is, with unit.
        y_label: what y is, with unit.
        zero: let the axis begin at zero.
    """
    known = {name: [(x, y) for x, y in points if y is not None and math.isfinite(y)] for name, points in curves.items()}
    known = {name: points for name, points in known.items() if points}
    if not known:
        return ""
    xs = [x for points in known.values() for x, _ in points]
    ys = [y for points in known.values() for _, y in points]
    low, high = _padded(min(ys), max(ys), zero)
    scale = _Scale(min(xs), max(xs), low, high)
    drawn = [_axes(scale, x_label, y_label)]
    ends = _apart({name: scale.y(points[-1][1]) for name, points in known.items()})
    for number, (name, points) in enumerate(known.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{scale.x(x):.1f},{scale.y(y):.1f}" for x, y in points)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        drawn += [f'<circle cx="{scale.x(x):.1f}" cy="{scale.y(y):.1f}" r="2.6" fill="{colour}"/>' for x, y in points]
        at = scale.x(points[-1][0]) + 8
        drawn.append(f'<text x="{at:.1f}" y="{ends[name] + 4:.1f}" fill="{colour}" class="name">{escape(name)}</text>')
    return _svg(WIDTH, HEIGHT, "".join(drawn), f"{y_label} over {x_label}")


class _Scale:
    """Numbers -> pixels."""

    def __init__(self, x0: float, x1: float, y0: float, y1: float) -> None:
        self.x0, self.x1, self.y0, self.y1 = x0, x1 if x1 > x0 else x0 + 1, y0, y1

    def x(self, value: float) -> float:
        return LEFT + (value - self.x0) / (self.x1 - self.x0) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.y0) / (self.y1 - self.y0) * (HEIGHT - TOP - BOTTOM)


def _axes(scale: _Scale, x_label: str, y_label: str) -> str:
    drawn = []
    for tick in _ticks(scale.y0, scale.y1, 5):
        y = scale.y(tick)
        drawn.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        drawn.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    drawn += [
        f'<text x="{scale.x(tick):.1f}" y="{HEIGHT - 14}" text-anchor="middle">{tick:g}</text>'
        for tick in _ticks(scale.x0, scale.x1, 8)
    ]
    drawn.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 2}" text-anchor="end" class="label">{escape(x_label)}</text>')
    drawn.append(f'<text x="{LEFT - 40}" y="10" class="label">{escape(y_label)}</text>')
    return "".join(drawn)


def before_after(rows: Sequence[tuple[str, float, float]], *, before: str = "before", after: str = "after") -> str:
    """One line per row from a hollow dot (before) to a full one (after), on a common axis of Dice.

    Args:
        rows: (name, before, after).
        before: what the hollow dot is.
        after: what the full dot is.
    """
    if not rows:
        return ""
    values = [value for _, *pair in rows for value in pair]
    low = max(0.0, math.floor(min(values) * 20 - 0.5) / 20)
    left, right, height = 230, 70, 34 + 26 * len(rows)
    span = WIDTH + 100 - left - right

    def x(value: float) -> float:
        return left + (value - low) / max(1e-9, 1.0 - low) * span

    drawn = []
    for tick in _ticks(low, 1.0, 6):
        drawn.append(f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="8" y2="{height - 24}" class="grid"/>')
        drawn.append(f'<text x="{x(tick):.1f}" y="{height - 10}" text-anchor="middle">{tick:g}</text>')
    for number, (name, old, new) in enumerate(rows):
        y = 22 + 26 * number
        colour = COLOURS[0] if new >= old else COLOURS[8]
        drawn.append(f'<text x="{left - 14}" y="{y + 4}" text-anchor="end">{escape(name)}</text>')
        drawn.append(
            f'<line x1="{x(old):.1f}" x2="{x(new):.1f}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="3"/>'
        )
        drawn.append(f'<circle cx="{x(old):.1f}" cy="{y}" r="5" fill="#fff" stroke="{colour}" stroke-width="2"/>')
        drawn.append(f'<circle cx="{x(new):.1f}" cy="{y}" r="5.5" fill="{colour}"/>')
        sign = f"{new - old:+.3f}"
        drawn.append(f'<text x="{left + span + 12}" y="{y + 4}" fill="{colour}" class="name">{sign}</text>')
    return _svg(WIDTH + 100, height, "".join(drawn), f"Dice {before} and {after}")


def _svg(width: int, height: int, inside: str, title: str) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}" class="chart">'
        f"<title>{escape(title)}</title>{inside}</svg>"
    )


def _padded(low: float, high: float, zero: bool) -> tuple[float, float]:
    margin = 0.06 * (high - low) or abs(high) * 0.1 or 1.0
    return (0.0 if zero and low >= 0 else low - margin), high + margin


def _ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers between two bounds."""
    raw = (high - low) / about
    unit = 10 ** math.floor(math.log10(raw)) if raw > 0 else 1.0
    step = next((unit * factor for factor in (1, 2, 5, 10) if unit * factor >= raw), unit)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(n * step, 10) for n in range(first, last + 1)]


def _apart(heights: Mapping[str, float], gap: float = 13.0) -> dict[str, float]:
    """Heights moved so that names do not overlap, in their order."""
    moved: dict[str, float] = {}
    last = -math.inf
    for name, height in sorted(heights.items(), key=lambda item: item[1]):
        last = max(height, last + gap)
        moved[name] = last
    over = max(0.0, last - (HEIGHT - BOTTOM))
    return {name: height - over for name, height in moved.items()}
