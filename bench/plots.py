"""Plots as SVG, made by hand: lines over one axis each way, readable on a light page and on a dark one."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 132, 36, 44
STYLE = """
  .ground { fill: #ffffff } text { fill: #333a44; font: 12px system-ui, sans-serif }
  .title { font-size: 14px; font-weight: 600 } .grid { stroke: #e1e4e8 } .line { fill: none; stroke-width: 2 }
  .s0 { stroke: #1f6feb } .d0 { fill: #1f6feb } .s1 { stroke: #b35900 } .d1 { fill: #b35900 }
  .s2 { stroke: #1a7f37 } .d2 { fill: #1a7f37 } .s3 { stroke: #8250df } .d3 { fill: #8250df }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #14181d } text { fill: #d5dae0 } .grid { stroke: #2c333b }
    .s0 { stroke: #6cb0ff } .d0 { fill: #6cb0ff } .s1 { stroke: #ffab5e } .d1 { fill: #ffab5e }
    .s2 { stroke: #5fd07a } .d2 { fill: #5fd07a } .s3 { stroke: #c9a3ff } .d3 { fill: #c9a3ff }
  }
"""
MOST_SERIES = 4
FEW = 12

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Plot:
    """
    What is shown.

    Attributes:
        x, y: What the axes say, with units.
        series: Up to four, by name; each has its points in the order of x.
        log: Whether x goes by factors.
    """

    title: str
    x: str
    y: str
    series: Mapping[str, Points]
    log: bool = False

    def svg(self) -> str:
        """All of it, as the text of a file."""
        assert 0 < len(self.series) <= MOST_SERIES
        points = [point for line in self.series.values() for point in line]
        low, high = min(x for x, _ in points), max(x for x, _ in points)
        steps = ticks(max(y for _, y in points))
        parts = [f'<text class="title" x="{LEFT}" y="20">{escape(self.title)}</text>']
        for step in steps:
            y = _up(step, steps[-1])
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
            parts.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{said(step)}</text>')
        for mark in self._marks(low, high):
            x = self._along(mark, low, high)
            parts.append(f'<text x="{x}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{said(mark)}</text>')
        middle = (LEFT + WIDTH - RIGHT) / 2
        parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(self.x)}</text>')
        parts.append(f'<text x="{WIDTH - RIGHT + 8}" y="20">{escape(self.y)}</text>')
        for number, (name, line) in enumerate(self.series.items()):
            parts += self._line(number, [(self._along(x, low, high), _up(y, steps[-1])) for x, y in line])
            y = TOP + 14 + 18 * number
            parts.append(f'<rect class="d{number}" x="{WIDTH - RIGHT + 8}" y="{y - 9}" width="10" height="10"/>')
            parts.append(f'<text x="{WIDTH - RIGHT + 24}" y="{y}">{escape(name)}</text>')
        body = "\n  ".join(parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-label="{escape(self.title)}">\n  <style>{STYLE}  </style>\n'
            f'  <rect class="ground" width="{WIDTH}" height="{HEIGHT}"/>\n  {body}\n</svg>\n'
        )

    def _along(self, x: float, low: float, high: float) -> float:
        if self.log:
            x, low, high = math.log(x), math.log(low), math.log(high)
        share = (x - low) / (high - low) if high > low else 0.5
        return round(LEFT + 8 + share * (WIDTH - LEFT - RIGHT - 16), 1)

    def _marks(self, low: float, high: float) -> list[float]:
        there = sorted({x for line in self.series.values() for x, _ in line})
        if len(there) <= FEW:
            return there
        return [step for step in ticks(high) if step >= low]

    def _line(self, number: int, points: Points) -> list[str]:
        path = " ".join(f"{x},{y}" for x, y in points)
        parts = [f'<polyline class="line s{number}" points="{path}"/>']
        if len(points) <= FEW:
            parts += [f'<circle class="d{number}" cx="{x}" cy="{y}" r="3.5"/>' for x, y in points]
        return parts


def ticks(most: float) -> list[float]:
    """Four to seven round numbers from 0 to *most* or a little above."""
    if most <= 0:
        return [0.0, 1.0]
    raw = most / 5
    power = 10 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw)
    return [round(step * number, 9) for number in range(math.ceil(most / step - 1e-9) + 1)]


def said(number: float) -> str:
    """As people read it: 1500000 is 1.5 M."""
    for unit, sign in ((1e6, " M"), (1e3, " k")):
        if number >= 10 * unit or (number >= unit and (unit > 1e3 or number % unit == 0)):
            return f"{number / unit:.3g}{sign}"
    return f"{number:.4g}"


def _up(y: float, most: float) -> float:
    return round(HEIGHT - BOTTOM - y / most * (HEIGHT - TOP - BOTTOM), 1)
