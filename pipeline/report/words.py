"""Numbers as text: on the page and in the terminal alike."""

from collections.abc import Iterable

MISSING = "–"


def percent(value: float | None, spread: float | None = None) -> str:
    """A share as percent with one decimal, with its spread where it is known: `41.3 ± 0.8`."""
    return number(None if value is None else 100 * value, None if spread is None else 100 * spread, 1)


def number(value: float | None, spread: float | None = None, decimals: int | None = None) -> str:
    """A number to three significant digits, or with so many decimals."""
    if value is None:
        return MISSING
    places = significant(value) if decimals is None else decimals
    text = f"{value:,.{places}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    return text if spread is None else f"{text} ± {spread:.{places}f}"


def signed(value: float, spread: float | None = None, decimals: int = 1) -> str:
    """A difference with its sign: `+5.2 ± 0.8`."""
    text = number(value, spread, decimals)
    return f"+{text}" if round(value, decimals) > 0 else text


def points(value: float, spread: float | None = None) -> str:
    """A difference of two shares in points, with its sign."""
    return signed(100 * value, None if spread is None else 100 * spread)


def significant(value: float) -> int:
    """Decimals that show three significant digits of a value (at most six)."""
    size = abs(value)
    places = 0
    while size < 100 and places < 6 and size > 0:
        size, places = size * 10, places + 1
    return places


def common_places(values: Iterable[float | None]) -> int:
    """Decimals for a column of numbers: three significant digits of the largest."""
    return significant(max((abs(value) for value in values if value is not None), default=0.0))


def seconds(value: float | None) -> str:
    """A duration: `48 s`, `3 min 20 s`, `2 h 05 min`."""
    if value is None:
        return MISSING
    whole = round(value)
    if whole < 100:
        return f"{whole} s"
    if whole < 6000:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def count(n: int, noun: str) -> str:
    """`1 seed`, `3 seeds`, `2 classes`."""
    if n == 1:
        return f"1 {noun}"
    return f"{n:,} {noun}{'es' if noun.endswith('s') else 's'}"


def listing(items: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""
