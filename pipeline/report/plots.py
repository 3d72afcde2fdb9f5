"""Small SVG line charts: text takes the page's colour, lines the classes `c0`, `c1`, ... of its style sheet."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from pipeline.report import words

WIDTH, HEIGHT = 340, 200  # units of the view box, about a pixel each
LEFT, RIGHT, TOP, BOTTOM = 50, 10, 10, 34
POINTS = 150  # a longer curve is averaged down to so many


Place = Callable[[float, float], tuple[float, float]]  # from values to the view box


@dataclass(frozen=True)
class Line:
    """One curve; ys may hold None or NaN, which break the line. `colour` picks a class c0 ... c9."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float | None]
    colour: int = 0


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


def line_chart(title: str, lines: Sequence[Line], x_label: str) -> Markup:
    """An accessible SVG of some curves on common axes; empty where no curve has a finite point."""
    thinned = [(line, *thin(line.xs, line.ys)) for line in lines]
    found = [(x, y) for _, xs, ys in thinned for x, y in zip(xs, ys, strict=True) if y is not None]
    if not found:
        return Markup("")
    x_low, x_high = _widen(min(0.0, *(x for x, _ in found)), max(x for x, _ in found))
    y_low, y_high = _widen(min(y for _, y in found), max(y for _, y in found))

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)
        return LEFT + across, HEIGHT - BOTTOM - (y - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)

    parts = [*_axes(x_low, x_high, y_low, y_high, place), *_label(x_label)]
    for line, xs, ys in thinned:
        points = [None if y is None else place(x, y) for x, y in zip(xs, ys, strict=True)]
        parts.append(
            f'<path class="line c{line.colour % 10}" d="{_path(points)}"><title>{escape(line.name)}</title></path>'
        )
    return Markup(
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(_spoken(title, thinned))}">'
        f"{''.join(parts)}</svg>"
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _widen(low: float, high: float) -> tuple[float, float]:
    if high > low:
        return low, high
    return low - 0.5 * max(abs(low), 1e-3), high + 0.5 * max(abs(high), 1e-3)


def _axes(x_low: float, x_high: float, y_low: float, y_high: float, place: Place) -> list[str]:
    parts = []
    x_ticks, y_ticks = ticks(x_low, x_high, 4), ticks(y_low, y_high, 4)
    for y in y_ticks:
        _, v = place(x_low, y)
        parts.append(f'<path class="grid" d="M{LEFT} {v:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{v + 4:.1f}" text-anchor="end">{_tick(y, y_ticks)}</text>')
    for x in x_ticks:
        u, _ = place(x, y_low)
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
