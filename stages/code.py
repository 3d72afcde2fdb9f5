"""Write down the code that each stage and each method runs, by digest: python -m stages.code

A stage depends on such lists, .code/stages/NAME and .code/methods/NAME, and so runs again for an edit of a file that it
imports and for no other. `sha256sum -c .code/stages/NAME` checks one by hand. Two files in place of fifty dependencies
also keep dvc.lock small, which DVC reads and writes anew after every stage.
"""

from pipeline.closure import ROOT, code_of
from pipeline.files import atomic_dir, sha256_file
from stages.common import Arguments, parser, run


def main(given: Arguments) -> None:
    with atomic_dir(".code") as folder:
        for kind, place in (("stages", "stages"), ("methods", "pipeline/methods")):
            (folder / kind).mkdir()
            for file in sorted((ROOT / place).glob("[!_]*.py")):
                lines = [f"{sha256_file(ROOT / name)}  {name}\n" for name in code_of(file)]
                (folder / kind / file.stem).write_text("".join(lines))


if __name__ == "__main__":
    run(main, parser(__doc__))
