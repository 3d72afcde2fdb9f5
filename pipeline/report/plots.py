"""Small SVG charts: text takes the page's colour, lines and marks the classes `c0`, `c1`, ... of its style sheet."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from pipeline.report import words

WIDTH, HEIGHT = 340, 200  # units of the view box, about a pixel each
LEFT, RIGHT, TOP, BOTTOM = 50, 10, 10, 34
TAG_WIDTH, TAG_HEIGHT = 7.5, 11  # of a letter of a label, about
POINTS = 150  # a longer curve is averaged down to so many
# Marks about the origin, apart in outline, so that colour need not tell them: name -> path
SHAPES = {
    "circle": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0Z",
    "square": "M-3.5-3.5h7v7h-7Z",
    "triangle": "M0-4.8L4.6 3.4h-9.2Z",
    "diamond": "M0-5.2L4.2 0 0 5.2-4.2 0Z",
    "plus": "M-1.5-4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3Z",
    "triangle on its head": "M0 4.8L4.6-3.4h-9.2Z",
    "hourglass": "M-4-4.4h8L-4 4.4h8Z",
    "bar": "M-5-1.8h10v3.6h-10Z",
}

Range = tuple[float, float]
Place = Callable[[float, float], tuple[float, float]]  # from values to the view box


@dataclass(frozen=True)
class Line:
    """One curve; ys may hold None or NaN, which break the line. `colour` picks a class c0 ... c9."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float | None]
    colour: int = 0


@dataclass(frozen=True)
class Point:
    """One mark; `name` is its tooltip and what is read aloud, `label` a short text beside it."""

    name: str
    x: float
    y: float
    colour: int = 0
    shape: int = 0
    label: str = ""


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers inside [low, high], about so many."""
    if not high > low:
        return [low]
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = min((m * power for m in (1, 2, 5, 10)), key=lambda s: abs(s - raw))
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def thin(
    xs: Sequence[float], ys: Sequence[float | None], points: int = POINTS
) -> tuple[list[float], list[float | None]]:
    """Means over equal runs of neighbours, so that a page holds thousands of steps in a few kilobytes."""
    if len(xs) <= points:
        return list(xs), [_finite(y) for y in ys]
    edges = [round(i * len(xs) / points) for i in range(points + 1)]
    out_x, out_y = [], []
    for start, stop in zip(edges, edges[1:], strict=False):
        known = [y for y in map(_finite, ys[start:stop]) if y is not None]
        out_x.append(sum(xs[start:stop]) / (stop - start))
        out_y.append(sum(known) / len(known) if known else None)
    return out_x, out_y


def line_chart(title: str, lines: Sequence[Line], x_label: str, spans: Sequence[Range] = ()) -> Markup:
    """An accessible SVG of some curves on common axes, over shaded `spans` of x; empty where no curve has a finite point."""
    thinned = [(line, *thin(line.xs, line.ys)) for line in lines]
    found = [(x, y) for _, xs, ys in thinned for x, y in zip(xs, ys, strict=True) if y is not None]
    if not found:
        return Markup("")
    across = _widen(min(0.0, *(x for x, _ in found)), max(x for x, _ in found))
    up = _widen(min(y for _, y in found), max(y for _, y in found))
    place = _placing(across, up)
    parts = [_span(place(low, up[0])[0], place(high, up[0])[0]) for low, high in spans]
    parts += [*_axes(ticks(*across, 4), ticks(*up, 4), place), *_label(x_label)]
    for line, xs, ys in thinned:
        points = [None if y is None else place(x, y) for x, y in zip(xs, ys, strict=True)]
        parts.append(
            f'<path class="line c{line.colour % 10}" d="{_path(points)}"><title>{escape(line.name)}</title></path>'
        )
    return _svg(_spoken(title, thinned), parts)


def scatter(title: str, points: Sequence[Point], x_label: str, y_label: str) -> Markup:
    """An accessible SVG of marks and a line at y = 0; x is logarithmic where it spans more than a factor of 10."""
    if not points:
        return Markup("")
    xs = [point.x for point in points]
    log = min(xs) > 0 and max(xs) > 10 * min(xs)
    scale = math.log10 if log else float
    across = _margin(scale(min(xs)) if log else 0.0, scale(max(xs)), both=log)
    up = _margin(min(0.0, *(point.y for point in points)), max(0.0, *(point.y for point in points)))
    place = _placing(across, up, scale)
    parts = _axes(_log_ticks(*across) if log else ticks(*across, 4), ticks(*up, 5), place)
    parts += _label(f"{x_label}, logarithmic" if log else x_label)
    parts.append(
        f'<text transform="translate(11 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>'
    )
    parts.append(f'<path class="zero" d="M{LEFT} {place(xs[0], 0)[1]:.1f}H{WIDTH - RIGHT}"/>')
    placed = [(point, *place(point.x, point.y)) for point in points]
    parts += [*(_mark(*one) for one in placed), *_tags(placed)]
    return _svg(f"{title}: {'; '.join(point.name for point in points)}", parts)


def shape(index: int) -> Markup:
    """A mark by itself, for a legend."""
    name, path = list(SHAPES.items())[index % len(SHAPES)]
    return Markup(f'<svg class="shape" viewBox="-6 -6 12 12" role="img" aria-label="{name}"><path d="{path}"/></svg>')


def _svg(spoken: str, parts: list[str]) -> Markup:
    label = f'role="img" aria-label="{escape(spoken)}"'
    return Markup(f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" {label}>{"".join(parts)}</svg>')


def _span(left: float, right: float) -> str:
    return f'<rect class="span" x="{left:.1f}" y="{TOP}" width="{right - left:.1f}" height="{HEIGHT - TOP - BOTTOM}"/>'


def _mark(point: Point, u: float, v: float) -> str:
    path, place = list(SHAPES.values())[point.shape % len(SHAPES)], f"translate({u:.1f} {v:.1f})"
    title = f"<title>{escape(point.name)}</title>"
    return f'<path class="point c{point.colour % 10}" transform="{place}" d="{path}">{title}</path>'


def _tags(placed: Sequence[tuple[Point, float, float]]) -> list[str]:
    """Labels at the upper left of their marks; one that would cover its neighbour on the right moves aside."""
    parts, neighbour = [], (math.inf, math.inf)
    for point, u, v in sorted((one for one in placed if one[0].label), key=lambda one: -one[1]):
        end, base = u - 5, v - 4
        if abs(base - neighbour[1]) < TAG_HEIGHT:
            end = min(end, neighbour[0])
        parts.append(f'<text class="tag" x="{end:.1f}" y="{base:.1f}" text-anchor="end">{escape(point.label)}</text>')
        neighbour = end - TAG_WIDTH * (len(point.label) + 0.5), base
    return parts


def _placing(across: Range, up: Range, scale: Callable[[float], float] = float) -> Place:
    """From values to the view box; `across` is scaled already."""

    def place(x: float, y: float) -> tuple[float, float]:
        right = (scale(x) - across[0]) / (across[1] - across[0]) * (WIDTH - LEFT - RIGHT)
        return LEFT + right, HEIGHT - BOTTOM - (y - up[0]) / (up[1] - up[0]) * (HEIGHT - TOP - BOTTOM)

    return place


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _widen(low: float, high: float) -> Range:
    if high > low:
        return low, high
    return low - 0.5 * max(abs(low), 1e-3), high + 0.5 * max(abs(high), 1e-3)


def _margin(low: float, high: float, both: bool = True) -> Range:
    """Room for marks at the ends."""
    low, high = _widen(low, high)
    room = 0.07 * (high - low)
    return low - room * both, high + room


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, ... between powers of ten; the powers alone where these are many."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    steps = (1, 2, 5) if high - low < 2.2 else (1,)
    return [m * 10.0**k for k in powers for m in steps if low <= math.log10(m * 10.0**k) <= high]


def _axes(x_ticks: list[float], y_ticks: list[float], place: Place) -> list[str]:
    parts = []
    for y in y_ticks:
        _, v = place(x_ticks[0], y)
        parts.append(f'<path class="grid" d="M{LEFT} {v:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{v + 4:.1f}" text-anchor="end">{_tick(y, y_ticks)}</text>')
    for x in x_ticks:
        u, _ = place(x, y_ticks[0])
        parts.append(f'<path class="axis" d="M{u:.1f} {HEIGHT - BOTTOM}v4"/>')
        parts.append(f'<text x="{u:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{_tick(x, x_ticks)}</text>')
    parts.append(f'<path class="axis" d="M{LEFT} {HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>')
    return parts


def _tick(value: float, all_ticks: list[float]) -> str:
    step = min((b - a for a, b in zip(all_ticks, all_ticks[1:], strict=False)), default=abs(value) or 1.0)
    return words.number(value, None, max(0, min(6, -math.floor(math.log10(step) + 1e-9))))


def _label(x_label: str) -> list[str]:
    return [f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 3}" text-anchor="middle">{escape(x_label)}</text>']


def _path(points: list[tuple[float, float] | None]) -> str:
    out, pen_down = [], False
    for point in points:
        if point is not None:
            out.append(f"{'L' if pen_down else 'M'}{point[0]:.1f} {point[1]:.1f}")
        pen_down = point is not None
    return "".join(out)


def _spoken(title: str, thinned: list[tuple[Line, list[float], list[float | None]]]) -> str:
    """What a screen reader says: where every curve begins and ends."""
    ends = []
    for line, _, ys in thinned:
        known = [y for y in ys if y is not None]
        if known:
            ends.append(f"{line.name} from {words.number(known[0])} to {words.number(known[-1])}")
    return f"{title}: {'; '.join(ends)}"
