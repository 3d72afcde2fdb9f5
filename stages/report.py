"""Write the report of all cells, or show the table of the one that is there: python -m stages.report [--show | --compare A B]"""

import os
from pathlib import Path

from pipeline.params import load
from stages.common import Arguments, parser, run

OUT = Path("report")
COMPARE = "two report folders, DVC experiments or git revisions side by side"


def main(given: Arguments) -> None:
    from pipeline.files import read_json
    from pipeline.report import build, compare, format_claims, format_table

    if given.compare:
        print(compare(*given.compare))
        return
    if not given.show:
        build(load(), Path("."), OUT)
        if "DVC_EXP_NAME" in os.environ:  # the copy that it runs in is gone before `sync` could be called there
            from pipeline.tracking import sync

            print(f"tracking: {sync()} new runs")
        return
    table = read_json(OUT / "table.json")
    print(*filter(None, (format_table(table), format_claims(table))), sep="\n\n")
    print(f"\nreport: {OUT / 'index.html'}")


if __name__ == "__main__":
    made = parser(__doc__)
    made.add_argument("--show", action="store_true", help="print the table of the report that is there")
    made.add_argument("--compare", nargs=2, metavar=("A", "B"), help=COMPARE)
    run(main, made)
