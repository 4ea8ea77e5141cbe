"""Where every seat of a house is drawn: a schematic plan from a seat map that has no coordinates.

A section is a fan (or a full ring) of columns separated by aisles; a row is an arc, a seat takes one pitch of it. Inner
sections are laid first; an outer one takes the tightest circle on which it touches nothing (:class:`Skyline`), and the
middle of that circle may lie behind the platform's front, so that a long hall comes out long. Keeps that no two seats
are nearer than :data:`SEAT_SIZE`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import atan2, ceil, cos, hypot, inf, pi, sin

from boxoffice.kernel.plan import (
    Block,
    Column,
    Row,
    Seat,
    Section,
    columns_by_number,
    columns_by_order,
    gap_before,
    sections,
)

PITCH = 10.0
"""From the middle of a seat to the middle of its neighbour, in drawing units; everything else follows from it."""
SEAT_SIZE = 8.0
ROW_PITCH = 12.0
AISLE = 1.9 * PITCH
SECTION_GAP = 2.0 * ROW_PITCH
NAME_GAP = 2.8 * ROW_PITCH
"""Between the last row of a section and the first of the next; at the rear there is room for the section's name."""
REAR = 0.16
"""What counts as the rear: this many radians at either side of the axis."""
APART_PITCH = 1.5 * PITCH
"""Wheelchair places and seats in boxes stand further apart."""
LOOSEST = 1.35
"""How much wider than a pitch seats may stand where a section goes all round and there is room."""
SMALLEST_RADIUS = 7 * PITCH
STRIDE, STEP = 6 * PITCH, PITCH / 2
"""How far a section is moved outwards at once until it fits, and how finely it is moved back."""
MOST_STRIDES = 2_000
STRAIGHT = 0.02
FAN = 0.8
FIRST_FAN = 3.3
WIDE_FAN = 4.5
"""How wide a section may open, in radians: nearly straight rows, a house before the platform, the inmost and the
further sections of a house around it."""
CENTRES = tuple(PITCH * step for step in range(17))
"""How far behind the platform's middle a section's circle may have its own."""
SAMPLE = 0.03
"""Radians between two points at which a section is held against what was laid before."""
MARGIN = 2 * PITCH


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Where one seat is drawn: the middle, in drawing units; ``y`` grows away from the platform's back."""

    seat: Seat
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A word in the drawing, its middle at ``x``, ``y``."""

    text: str
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A house, drawn: spots in reading order, names of sections and rows, the platform, and the frame around all."""

    spots: tuple[Spot, ...]
    section_names: tuple[Label, ...]
    row_names: tuple[Label, ...]
    platform: tuple[tuple[float, float], ...]
    frame: tuple[float, float, float, float]
    """left, top, width, height."""


def draw(seats: Sequence[Seat], *, stage: str) -> Drawing:
    """Draw a house. ``stage`` is the seat map's own word: ``front``, or one that begins with ``surrounded``."""
    house = sections(seats)
    canvas = _Canvas()
    if stage.startswith("surrounded"):
        _draw_around(house, canvas)
    else:
        limit = STRAIGHT if "straight" in stage else FAN
        for section in house:
            _lay(section, canvas, limit=limit, around=False)
    return canvas.finish(surrounded=stage.startswith("surrounded"))


def _draw_around(house: Sequence[Section], canvas: "_Canvas") -> None:
    """Draw a house around its platform; the section that needs the widest fan goes all the way round."""
    rehearsal = _Canvas()
    spans = [
        0.0 if section.is_boxes else _lay(section, rehearsal, limit=_limit(index), around=True)
        for index, section in enumerate(house)
    ]
    widest = spans.index(max(spans))
    for index, section in enumerate(house):
        if section.is_boxes:
            _lay_boxes(section, canvas)
        else:
            _lay(section, canvas, limit=_limit(index), around=True, ring=index == widest)


def _limit(index: int) -> float:
    return WIDE_FAN if index else FIRST_FAN


class Skyline:
    """How far from the middle the drawing reaches in every direction, in half degrees; 0 is away from the platform."""

    def __init__(self) -> None:
        self._reach = [0.0] * 720

    def reach(self, start: float, end: float) -> float:
        """Give the furthest radius between two angles (radians)."""
        return max(self._reach[at] for at in self._bins(start, end))

    def raise_to(self, start: float, end: float, radius: float) -> None:
        """Note that something reaches to a radius between two angles."""
        for at in self._bins(start, end):
            self._reach[at] = max(self._reach[at], radius)

    def _bins(self, start: float, end: float) -> list[int]:
        first, last = int(start * 360 / pi // 1), ceil(end * 360 / pi)
        return [at % 720 for at in range(first, max(last, first + 1))]


@dataclass(slots=True)
class _Canvas:
    spots: list[Spot] = field(default_factory=list)
    section_names: list[Label] = field(default_factory=list)
    row_names: list[Label] = field(default_factory=list)
    skyline: Skyline = field(default_factory=Skyline)
    inmost: float = 0.0

    def put(self, seat: Seat, x: float, y: float) -> None:
        self.spots.append(Spot(seat=seat, x=round(x, 1), y=round(y, 1)))

    def raise_skyline(self, since: int) -> None:
        """Note how far out the spots reach that were put since a count of them."""
        for spot in self.spots[since:]:
            radius, angle = hypot(spot.x, spot.y), atan2(spot.x, spot.y)
            self.skyline.raise_to(angle - PITCH / radius, angle + PITCH / radius, radius)

    def finish(self, *, surrounded: bool) -> Drawing:
        spots = tuple(sorted(self.spots, key=lambda spot: spot.seat.place))
        platform = _round_platform(self.inmost) if surrounded else _front_platform(spots, self.inmost)
        xs = [spot.x for spot in spots] + [x for x, _ in platform] + [label.x for label in self.section_names]
        ys = [spot.y for spot in spots] + [y for _, y in platform] + [label.y for label in self.section_names]
        left, top = min(xs) - MARGIN, min(ys) - MARGIN
        width, height = max(xs) + MARGIN - left, max(ys) + MARGIN - top
        return Drawing(
            spots=spots, section_names=tuple(self.section_names), row_names=tuple(self.row_names),
            platform=platform, frame=(round(left, 1), round(top, 1), round(width, 1), round(height, 1)),
        )  # fmt: skip


def _point(radius: float, angle: float) -> tuple[float, float]:
    """Turn polar into drawing units; angle 0 points away from the platform, and grows to the audience's right."""
    return round(radius * sin(angle), 1), round(radius * cos(angle), 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fan:
    """A section's columns on one circle: where each starts and ends (radians), and how loosely its seats stand."""

    base: float
    centre: float
    edges: tuple[tuple[float, float], ...]
    looseness: float = 1.0

    def radius(self, row: int) -> float:
        return self.base + row * ROW_PITCH

    def point(self, row: int, angle: float) -> tuple[float, float]:
        x, y = _point(self.radius(row), angle)
        return x, y + self.centre

    @property
    def span(self) -> float:
        return self.edges[-1][1] - self.edges[0][0]


def _lay(section: Section, canvas: _Canvas, *, limit: float, around: bool, ring: bool = False) -> float:
    """Lay one section outside everything laid so far; returns the angle that its columns need (radians)."""
    rows = [row for row in section.rows if not row.stands_apart]
    span, before = 0.0, len(canvas.spots)
    if rows:
        columns = columns_by_number(rows) if around else columns_by_order(rows)
        centres = CENTRES if around and canvas.spots else CENTRES[:1]
        fan = _fit(columns, canvas.skyline, limit=limit, ring=ring, centres=centres)
        span = fan.span
        if not canvas.inmost:
            canvas.inmost = fan.base
        _put_rows(rows, columns, fan, canvas, ring=ring)
        canvas.raise_skyline(before)
    for row in section.rows:
        if row.stands_apart:
            _lay_apart(row, canvas, angle=0.0)
    reach = canvas.skyline.reach(-REAR / 3, REAR / 3)
    x, y = _point(reach + 1.5 * ROW_PITCH, 0.0)
    canvas.section_names.append(Label(text=section.name, x=x, y=y))
    return span


def _fit(columns: Sequence[Column], skyline: Skyline, *, limit: float, ring: bool, centres: Sequence[float]) -> _Fan:
    """Find the tightest circle on which the columns fit side by side and touch nothing that was laid before."""
    best: _Fan | None = None
    for centre in centres:
        fan = _fit_on(columns, skyline, limit=limit, ring=ring, centre=centre, most=best.base if best else inf)
        if fan and (best is None or fan.base < best.base):
            best = fan
    return best or _open(columns, 100 * SMALLEST_RADIUS, centre=0.0, ring=False)


def _fit_on(
    columns: Sequence[Column], skyline: Skyline, *, limit: float, ring: bool, centre: float, most: float
) -> _Fan | None:
    """Try radii in strides, then go back by halves; nothing beyond ``most`` is of interest."""

    def fits(base: float) -> _Fan | None:
        fan = _open(columns, base, centre=centre, ring=ring)
        return fan if fan.span <= (2 * pi if ring else limit) and _is_clear(columns, fan, skyline) else None

    base, stride = SMALLEST_RADIUS, STRIDE
    found = fits(base)
    for _ in range(MOST_STRIDES):
        if found or base >= most + STRIDE:
            break
        stride = STRIDE if base < 100 * PITCH else base / 20
        base += stride
        found = fits(base)
    while found and stride > STEP and base > SMALLEST_RADIUS:
        stride /= 2
        nearer = fits(base - stride)
        if nearer:
            base, found = base - stride, nearer
    return found


def _open(columns: Sequence[Column], base: float, *, centre: float, ring: bool) -> _Fan:
    needs = [_need(column, base) for column in columns]
    aisle, looseness = AISLE / base, 1.0
    if ring:
        room = 2 * pi - len(columns) * aisle
        looseness = min(LOOSEST, max(1.0, room / sum(needs)))
        aisle = max(aisle, (2 * pi - sum(needs) * looseness) / len(columns))
    edges, at = [], 0.0
    for need in needs:
        edges.append((at, at + need * looseness))
        at += need * looseness + aisle
    turn = _front(columns, edges, aisle)
    turned = tuple((start - turn, end - turn) for start, end in edges)
    return _Fan(base=base, centre=centre, edges=turned, looseness=looseness)


def _need(column: Column, base: float) -> float:
    """Tell the angle that a column's fullest row needs."""
    return max(_width(blocks) * PITCH / (base + row * ROW_PITCH) for row, blocks in column.rows.items())


def _width(blocks: Sequence[Block]) -> int:
    """Count the pitches that a row takes within a column, gaps included."""
    gaps = sum(gap_before(left, right) for left, right in pairwise(blocks))
    return sum(len(block) for block in blocks) + gaps


def _front(columns: Sequence[Column], edges: Sequence[tuple[float, float]], aisle: float) -> float:
    """Find the angle that is to face the front: where both sides mirror each other, deep rows at the rear."""
    middles = [(start + end) / 2 for start, end in edges]
    candidates = middles + [end + aisle / 2 for _, end in edges[:-1]]
    profile = [
        (middle, end - start, (min(column.rows) + 2 * max(column.rows)) / 3)
        for middle, (start, end), column in zip(middles, edges, columns, strict=True)
    ]
    total = sum(end - start for start, end in edges) + aisle * len(edges)
    full = total > 2 * pi - aisle / 2

    def tilt(axis: float) -> float:
        """Depth out of balance between left and right of an axis, less what lies at the rear."""
        sideways = abs(sum(width * depth * sin(middle - axis) for middle, width, depth in profile))
        behind = sum(width * depth * cos(middle - axis) for middle, width, depth in profile)
        return sideways - behind

    if full:
        return min(candidates, key=tilt)
    centre = (edges[0][0] + edges[-1][1]) / 2
    return min(candidates, key=lambda axis: abs(axis - centre))


def _is_clear(columns: Sequence[Column], fan: _Fan, skyline: Skyline) -> bool:
    for column, (start, end) in zip(columns, fan.edges, strict=True):
        first = min(column.rows)
        steps = ceil((end - start) / SAMPLE)
        for step in range(-1, steps + 2):
            x, y = fan.point(first, start + step * (end - start) / steps)
            angle = atan2(x, y)
            reach = skyline.reach(angle - SAMPLE, angle + SAMPLE)
            if reach and hypot(x, y) < reach + (NAME_GAP if abs(angle) < REAR else SECTION_GAP):
                return False
    return True


def _put_rows(rows: Sequence[Row], columns: Sequence[Column], fan: _Fan, canvas: _Canvas, *, ring: bool) -> None:
    """Put every row between its aisles: in the middle of its column, or against the aisle that is nearer the axis."""
    middle = (len(columns) - 1) / 2
    for at, (column, (start, end)) in enumerate(zip(columns, fan.edges, strict=True)):
        for row, blocks in column.rows.items():
            pitch = PITCH * fan.looseness / fan.radius(row)
            width = _width(blocks) * pitch
            begin = _begin(start, end, width, side=0 if ring else at - middle)
            _put_blocks(blocks, canvas, fan=fan, row=row, begin=begin, pitch=pitch)
            x, y = fan.point(row, begin - 0.35 * pitch)
            canvas.row_names.append(Label(text=rows[row].label, x=round(x, 1), y=round(y, 1)))


def _begin(start: float, end: float, width: float, *, side: float) -> float:
    """Tell where a row begins within its column: against the inner aisle left or right of the axis, else centred."""
    if side < 0:
        return end - width
    return start if side > 0 else (start + end - width) / 2


def _put_blocks(blocks: Sequence[Block], canvas: _Canvas, *, fan: _Fan, row: int, begin: float, pitch: float) -> None:
    angle = begin + pitch / 2
    for index, block in enumerate(blocks):
        if index:
            angle += gap_before(blocks[index - 1], block) * pitch
        for seat in block:
            canvas.put(seat, *fan.point(row, angle))
            angle += pitch


def _lay_apart(row: Row, canvas: _Canvas, *, angle: float) -> None:
    """Lay one row of wheelchair places, or a box, outside everything at an angle."""
    seats, before = row.seats, len(canvas.spots)
    half = len(seats) * APART_PITCH / 2
    outside = canvas.skyline.reach(angle - 0.3, angle + 0.3) or SMALLEST_RADIUS
    spread = half / outside + 0.03
    radius = (canvas.skyline.reach(angle - spread, angle + spread) or SMALLEST_RADIUS) + 1.8 * ROW_PITCH
    pitch = APART_PITCH / radius
    for index, seat in enumerate(seats):
        canvas.put(seat, *_point(radius, angle + (index - (len(seats) - 1) / 2) * pitch))
    canvas.raise_skyline(before)


def _lay_boxes(section: Section, canvas: _Canvas) -> None:
    """Lay boxes in pairs at the two sides, where the house is narrowest; the name stands beside each."""
    for index, row in enumerate(section.rows):
        sides = [pi / 36 * step for step in range(14, 24)]
        side = min(sides, key=lambda angle: max(_reach_at(canvas, angle), _reach_at(canvas, -angle)))
        angle = side if index % 2 else -side
        _lay_apart(row, canvas, angle=angle)
        x, y = _point(_reach_at(canvas, angle) + 2 * ROW_PITCH, angle)
        canvas.section_names.append(Label(text=row.label, x=x, y=y))


def _reach_at(canvas: _Canvas, angle: float) -> float:
    return canvas.skyline.reach(angle - 0.12, angle + 0.12)


def _round_platform(inmost: float) -> tuple[tuple[float, float], ...]:
    """Draw the platform of a house around it: wide at the front, narrower at the back."""
    size = inmost - 2.2 * ROW_PITCH
    corners = [(-0.98, 0.42), (-0.6, 0.8), (0.6, 0.8), (0.98, 0.42), (0.62, -0.72), (-0.62, -0.72)]
    return tuple((round(x * size, 1), round(y * size, 1)) for x, y in corners)


def _front_platform(spots: Sequence[Spot], inmost: float) -> tuple[tuple[float, float], ...]:
    """Draw a platform before the first row, as wide as the rows near it."""
    near = [spot for spot in spots if spot.x**2 + spot.y**2 < (inmost + 4 * ROW_PITCH) ** 2]
    half = max(abs(spot.x) for spot in near or spots) * 0.85  # none is near where every row stands apart
    front = min(spot.y for spot in spots) - 2.2 * ROW_PITCH
    back = front - 7 * PITCH
    corners = [(-half, front), (half, front), (half * 0.8, back), (-half * 0.8, back)]
    return tuple((round(x, 1), round(y, 1)) for x, y in corners)
