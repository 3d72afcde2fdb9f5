"""How many values a parquet file says its columns have.

pyarrow tells it as well (`metadata.row_group(i).column(j).num_values`), but pyarrow 25 ends the process where a footer
contradicts itself: that call throws a C++ exception which nobody there expects. So the footer's structs, in Thrift's
compact protocol, are read here; numbers of fields are those of parquet.thrift.
"""

from pathlib import Path
from typing import Any

TRAILER = 8  # bytes at the end: the footer's length and the magic
ROW_GROUPS, COLUMNS, META_DATA, NUM_VALUES = 4, 1, 3, 5
TRUE, FALSE, BYTE, I16, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12


def most_values(file: Path) -> int:
    """Values of the longest column, all row groups together. Raises ValueError or IndexError for what is no footer."""
    with open(file, "rb") as opened:
        end = max(0, opened.seek(0, 2) - TRAILER)
        opened.seek(end)
        begin = max(0, end - int.from_bytes(opened.read(4), "little"))
        opened.seek(begin)
        footer = _Compact(opened.read(end - begin)).struct()
    counts: dict[int, int] = {}
    for group in _items(footer, ROW_GROUPS):
        for number, column in enumerate(_items(group, COLUMNS)):
            values = column.get(META_DATA, {}).get(NUM_VALUES)
            if not isinstance(values, int):
                raise ValueError("a column does not tell its number of values")
            counts[number] = counts.get(number, 0) + values
    return max(counts.values(), default=0)


def _items(struct: dict[int, Any], field: int) -> list[dict[int, Any]]:
    """A list of structs."""
    items = struct.get(field, [])
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError(f"field {field} of its footer is no list of structs")
    return items


class _Compact:
    """A reader of Thrift's compact protocol. What is unknown is passed over by its kind; text and doubles are None."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def struct(self) -> dict[int, Any]:
        """Field number -> value."""
        fields, number = {}, 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer()
            kind = head & 15
            fields[number] = kind == TRUE if kind in (TRUE, FALSE) else self._value(kind)
        return fields

    def _value(self, kind: int) -> Any:
        if kind in (TRUE, FALSE, BYTE):
            return self._byte()
        if I16 <= kind <= I64:
            return self._integer()
        if kind in (DOUBLE, BINARY):
            length = 8 if kind == DOUBLE else self._natural()
            self._at += length
            if self._at > len(self._data):
                raise IndexError("its footer ends too early")
            return None
        if kind in (LIST, SET):
            head = self._byte()
            count = head >> 4 if head >> 4 < 15 else self._natural()
            return [self._value(head & 15) for _ in range(count)]
        if kind == MAP:
            count = self._natural()
            kinds = self._byte() if count else 0
            return [(self._value(kinds >> 4), self._value(kinds & 15)) for _ in range(count)]
        if kind == STRUCT:
            return self.struct()
        raise ValueError(f"its footer has a value of an unknown kind, {kind}")

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _natural(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def _integer(self) -> int:
        value = self._natural()  # zigzag: 0, -1, 1, -2, ...
        return value >> 1 ^ -(value & 1)
