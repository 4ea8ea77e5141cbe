"""One picture of the figures: horizontal bars, a group each, drawn by hand so that nothing has to be installed."""

from html import escape
from typing import Any

WIDTH, BAR, GAP, LEFT, RIGHT = 960, 16, 6, 400, 110
SHOWN = (
    ("holds", "Holds a second, called directly, 64 callers"),
    ("race", "Attempts a second for the last 500 seats, 64 callers"),
    ("http", "Holds a second through HTTP, 64 connections, and what it is compared with"),
    ("ga", "General admission, places a second on one event"),
    ("growth", "Holds a second as the sale grows"),
    ("orders", "Whole orders a second"),
)
OURS, THEIRS = "#1f6f5c", "#b9b4a5"


def bars(whole: dict[str, Any]) -> str:
    """Draw every group that was measured."""
    parts: list[str] = []
    y = 24
    for name, title in SHOWN:
        group = whole.get("groups", {}).get(name)
        if not group:
            continue
        shown = [entry for entry in group["contenders"] if entry["clients"] in {None, 64, 16}][:9]
        parts.append(f'<text x="8" y="{y}" font-weight="bold">{escape(title)}</text>')
        y += 14
        most = max((entry["median"] for entry in shown), default=1.0)
        for entry in shown:
            parts += bar(entry, y, most)
            y += BAR + GAP
        y += 26
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fffdf7"/>'
        + "".join(parts)
        + "</svg>\n"
    )


def bar(entry: dict[str, Any], y: int, most: float) -> list[str]:
    """Draw one bar with its name, its median and a line from the lowest to the highest round."""
    room = WIDTH - LEFT - RIGHT
    scale = room / most if most else 0.0
    rates = [sample["rate"] for sample in entry["rounds"]]
    length, low, high = entry["median"] * scale, min(rates) * scale, min(max(rates) * scale, room + 8.0)
    colour = OURS if entry["name"].startswith(("our", "availability")) else THEIRS
    middle = y + BAR / 2
    return [
        f'<text x="{LEFT - 8}" y="{y + BAR - 4}" text-anchor="end">{escape(entry["name"])}</text>',
        f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>',
        f'<path d="M{LEFT + low:.1f} {middle}H{LEFT + high:.1f}" stroke="#222" stroke-width="1.5"/>',
        f'<text x="{LEFT + max(length, high) + 6:.1f}" y="{y + BAR - 4}">{entry["median"]:,.0f}</text>',
    ]
