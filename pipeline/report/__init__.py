"""The report: the table in four forms, and one static page that needs no network.

table = report.build(params, Path("."), Path("report"))
print(report.format_table(table))
"""

from pathlib import Path
from typing import Any

from pipeline.files import atomic_dir, write_atomic, write_json
from pipeline.report import anomaly, claims, codes, gallery, generation, grid, page, pairs, results, tables
from pipeline.report.compare import compare
from pipeline.report.tables import Table
from pipeline.report.terminal import format_claims, format_table

__all__ = ["Table", "build", "compare", "format_claims", "format_table"]


def build(params: dict[str, Any], root: Path, out: Path) -> Table:
    """Write the report of the cells of `params` into the folder `out`, whole or not at all; returns the table's rows.

    root: the folder that holds results/ and data/. Writes table.json, table.csv, scores.json (without costs),
    claims.json, grid.json, generation.json, pairs.json, anomaly.json, codes.json, params.json, index.html and pictures/. Raises UserError where a
    result is missing or broken.
    """
    root = Path(root)
    found = results.load(params, root)
    table, drawn, paired = tables.rows(found), generation.rows(params, root), pairs.rows(params, root)
    scored, read = anomaly.rows(params, root), codes.rows(params, root)
    with atomic_dir(out) as folder:
        write_json(folder / "table.json", table)
        write_atomic(folder / "table.csv", tables.to_csv(table))
        write_json(folder / "scores.json", tables.without_costs(table))
        write_json(folder / "claims.json", claims.claims(table))
        write_json(folder / "grid.json", {"combinations": grid.combinations(table)})
        write_json(folder / "generation.json", drawn)
        write_json(folder / "pairs.json", paired)
        write_json(folder / "anomaly.json", scored)
        write_json(folder / "codes.json", read)
        write_json(folder / "params.json", params)
        pictures = gallery.build(found, root, folder)
        besides = page.Besides(
            generation.show(params, drawn, root, folder),
            pairs.show(params, paired, root, folder),
            anomaly.show(scored, root, folder),
            codes.show(read, root, folder),
        )
        write_atomic(folder / "index.html", page.render(params, found, table, pictures, besides, root, folder))
    return table
