"""Draw a chaos run: what buyers were told, second by second, over what was broken at the time."""

from collections import Counter
from typing import Any
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT = 1140, 330, 20
CHART, ROW, TOP = 180, 17, 46
SMOOTH_S = 5
"""Seconds that one point of a line averages."""
LINES = (("answered", "#0b5fbd"), ("not answered, or an error", "#d1495b"))
BAR = "#edae49"


def timeline(run: dict[str, Any]) -> str:
    """Draw it as SVG."""
    seconds = {int(second): counted for second, counted in run["seconds"].items()}
    events = run["events"]
    length = max([*seconds, *(int(end) for _, _, end in events), 1])
    acts = sorted({act for act, _, _ in events})
    height = TOP + CHART + 30 + ROW * len(acts) + 34
    across = (WIDTH - LEFT - RIGHT) / length
    series = [_rates(seconds, length, bad=bad) for bad in (False, True)]
    top = max(1.0, *(max(values) for values in series))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="20" font-size="15" font-weight="600">Answers a second, and what was broken</text>',
    ]
    for index, (name, colour) in enumerate(LINES):
        x = LEFT + 430 + index * 110
        parts.append(
            f'<rect x="{x}" y="10" width="12" height="12" fill="{colour}"/><text x="{x + 17}" y="20">{name}</text>'
        )
    for share in (0.0, 0.5, 1.0):
        y = TOP + CHART * (1 - share)
        parts.append(f'<line x1="{LEFT}" y1="{y:.0f}" x2="{WIDTH - RIGHT}" y2="{y:.0f}" stroke="#dfe3ea"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.0f}" text-anchor="end">{top * share:.0f}</text>')
    for values, (_, colour) in zip(series, LINES, strict=True):
        points = " ".join(
            f"{LEFT + at * across:.1f},{TOP + CHART * (1 - value / top):.1f}" for at, value in enumerate(values)
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
    base = TOP + CHART + 26
    for row, act in enumerate(acts):
        y = base + row * ROW
        parts.append(f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end" font-size="11">{escape(act)}</text>')
        parts.append(f'<line x1="{LEFT}" y1="{y + ROW - 1}" x2="{WIDTH - RIGHT}" y2="{y + ROW - 1}" stroke="#f0f2f5"/>')
        parts += [
            f'<rect x="{LEFT + begin * across:.1f}" y="{y + 2}" width="{max(2.0, (end - begin) * across):.1f}" height="{ROW - 5}" fill="{BAR}"/>'
            for name, begin, end in events
            if name == act
        ]
    for minute in range(length // 60 + 1):
        x = LEFT + minute * 60 * across
        parts.append(f'<text x="{x:.0f}" y="{height - 10}" text-anchor="middle">{minute} min</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _rates(seconds: dict[int, dict[str, int]], length: int, *, bad: bool) -> list[float]:
    counted: Counter[int] = Counter()
    for second, outcomes in seconds.items():
        for name, times in outcomes.items():
            if name.endswith(("unknown", "5xx", "unanswered")) == bad:
                counted[second] += times
    return [sum(counted[second] for second in range(at - SMOOTH_S + 1, at + 1)) / SMOOTH_S for at in range(length + 1)]
