"""A drawing as SVG text: small, the same for ever for one seat map, and readable as a picture without any script.

Keeps that a seat carries its place number (``data-p``) and its own number (``data-n``), under groups that name section
and row, so that the page's script needs nothing else to name a seat.
"""

from collections.abc import Iterator
from html import escape
from itertools import groupby

from boxoffice.kernel.drawing import SEAT_SIZE, Drawing, Label, Spot
from boxoffice.kernel.plan import KEPT, WHEELCHAIR

DRAWING_VERSION = "1"
"""Part of a drawing's address, which is kept for ever: raise it when the same seat map is drawn otherwise."""


LOOKS = {KEPT: ' fill="url(#hatch)"', WHEELCHAIR: ' fill="none" stroke="#8a8f98"'}
"""How a marked seat looks in the plain picture."""
WIDE_FRAME, SMALLEST_WORDS = 750.0, 0.55
"""Words are as large beside a small hall as beside a wide one: they shrink with a frame under this width."""
HATCH = (
    '<defs><pattern id="hatch" width="3" height="3" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<path d="M0 0V3" stroke="#8a8f98" stroke-width="1"/></pattern></defs>'
)


def render(drawing: Drawing, *, title: str) -> str:
    """Write the drawing; ``title`` is the hall's name."""
    left, top, width, height = drawing.frame
    corners = " ".join(f"{x:g},{y:g}" for x, y in drawing.platform)
    middle = sum(x for x, _ in drawing.platform) / len(drawing.platform)
    ys = [y for _, y in drawing.platform]
    scale = max(SMALLEST_WORDS, min(1.0, width / WIDE_FRAME))
    box = f"{left:g} {top:g} {width:g} {height:g}"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" data-seat="{SEAT_SIZE:g}" '
        'font-family="system-ui,sans-serif" text-anchor="middle" fill="#8a8f98">'
    )
    words = f'font-size="{15 * scale:g}" letter-spacing="{3 * scale:g}"'
    platform = (
        f'<g class="platform"><polygon points="{corners}" fill="#e8e6e0" stroke="#e8e6e0" stroke-linejoin="round" '
        'stroke-width="16"/>'
        f'<text x="{middle:g}" y="{(min(ys) + max(ys)) / 2 + 5:g}" {words}>STAGE</text></g>'
    )
    names = [_word(label, "section-name", 13 * scale) for label in drawing.section_names]
    rows = [_word(label, "row-name", 5) for label in drawing.row_names]
    seats = _sections(drawing.spots)
    title = f"<title>{escape(title)}</title>"
    return "".join([head, title, HATCH, platform, '<g class="names">', *names, *rows, "</g>", *seats, "</svg>"])


def _word(label: Label, kind: str, size: float) -> str:
    shift = size / 3  # from a letter's middle to its foot
    place = f'x="{label.x:g}" y="{label.y + shift:g}" font-size="{size:g}"'
    return f'<text class="{kind}" {place}>{escape(label.text)}</text>'


def _sections(spots: tuple[Spot, ...]) -> Iterator[str]:
    for section, of_section in groupby(spots, key=lambda spot: spot.seat.section):
        yield f'<g class="section" data-section="{escape(section)}">'
        for row, of_row in groupby(of_section, key=lambda spot: spot.seat.row):
            yield f'<g data-row="{escape(row)}">'
            yield from map(_seat, of_row)
            yield "</g>"
        yield "</g>"


def _seat(spot: Spot) -> str:
    seat, half = spot.seat, SEAT_SIZE / 2
    mark = f' data-m="{escape(seat.mark)}"' if seat.mark else ""
    look = LOOKS.get(seat.mark or "", "")
    names = f'data-p="{seat.place}" data-n="{escape(seat.number)}"{mark}'
    return f'<circle cx="{spot.x:g}" cy="{spot.y:g}" r="{half:g}"{look} {names}/>'
