"""A set whose shards stay at a URL: a folder with its description and its index, and the file `url`."""

import shutil
from pathlib import Path

from pipeline.files import UserError, atomic_dir, write_atomic
from pipeline.shards.download import Download
from pipeline.shards.index import AGAIN, ShardSet
from pipeline.shards.layout import DESCRIPTION, INDEX, URL
from pipeline.shards.writer import check_goal


def take(url: str, out: Path | str) -> ShardSet:
    """Make the folder `out` of the set at http(s)://HOST/.../NAME, checked as a set on disk is.

    Raises UserError where the server cannot be reached or what lies there is no whole set; then `out` is as it was.
    """
    out, url = Path(out), url.rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise UserError(f"{url} is no address of a set; name one like https://HOST/FOLDER/{out.name}")
    check_goal(out)
    with atomic_dir(out) as folder:
        for name in (DESCRIPTION, INDEX):
            download = Download(f"{url}/{name}")
            with open(folder / name, "wb") as file:
                shutil.copyfileobj(download, file)
            download.close()
        write_atomic(folder / URL, url + "\n")
        try:
            ShardSet.open(folder, stream=True)
        except UserError as error:
            raise UserError(
                str(error).replace(str(folder), url).replace(AGAIN, "put the whole set there again")
            ) from None
    return ShardSet.open(out, stream=True)
