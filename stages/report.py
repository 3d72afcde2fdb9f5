"""Write the report of all cells, or show the table of the one that is there: python -m stages.report [--show | --compare A B]"""

from pathlib import Path

from pipeline.params import load
from stages.common import Arguments, parser, run

OUT = Path("report")


def main(given: Arguments) -> None:
    from pipeline.files import read_json
    from pipeline.report import build, compare, format_table

    if given.compare:
        print(compare(*map(Path, given.compare)))
        return
    if not given.show:
        build(load(), Path("."), OUT)
        return
    print(format_table(read_json(OUT / "table.json")))
    print(f"\nreport: {OUT / 'index.html'}")


if __name__ == "__main__":
    made = parser(__doc__)
    made.add_argument("--show", action="store_true", help="print the table of the report that is there")
    made.add_argument("--compare", nargs=2, metavar="REPORT", help="two report folders side by side")
    run(main, made)
