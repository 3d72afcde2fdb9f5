"""The procedural street simulator: exact truth for every pixel, two domains whose layout and look are separate knobs.

`frame.render` makes one frame, `writers.write_part` writes data sets in the published layouts, `sheet` contact sheets.
Only NumPy and OpenCV are needed. `docs/world.md` tells how it works and what it measures.
"""
