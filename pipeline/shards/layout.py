"""What stands where in a folder of shards; the writer and the reader share nothing else.

000000.tar ...  WebDataset shards: ordinary USTAR archives, a sample's members side by side
index.parquet   one row a sample: where each member lies, how long it is, its SHA-256
set.json        what the set holds, and the digests of the index and of every shard
url             instead of the shards, where they stay on a server: the address of their folder
"""

import hashlib
import re
from collections.abc import Iterable

import pyarrow as pa

FORMAT = 1
INDEX = "index.parquet"
DESCRIPTION = "set.json"
URL = "url"
SHARD_NAME = re.compile(r"\d{6}\.tar")

MEMBER = pa.struct(
    [
        pa.field("extension", pa.string(), nullable=False),  # "image.jpg"; the member is named KEY.EXTENSION
        pa.field("offset", pa.int64(), nullable=False),  # of its first byte in the shard
        pa.field("size", pa.int64(), nullable=False),  # bytes
        pa.field("sha256", pa.string(), nullable=False),
    ]
)
SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("sequence", pa.string()),
        pa.field("frame", pa.int64()),
        pa.field("height", pa.int64(), nullable=False),
        pa.field("width", pa.int64(), nullable=False),
        pa.field("digest", pa.string(), nullable=False),  # of the sample, see `sample_digest`
        pa.field("members", pa.list_(MEMBER), nullable=False),
        pa.field("class_histogram", pa.list_(pa.int64())),  # pixels of each trainId, then ignored ones; null: no label
    ]
)


def shard_name(number: int) -> str:
    """File name of a shard."""
    return f"{number:06d}.tar"


def sample_digest(key: str, members: Iterable[tuple[str, str]]) -> str:
    """SHA-256 of a sample's (extension, SHA-256) pairs: of the text that `sha256sum` prints for its members."""
    return hashlib.sha256("".join(f"{sha}  {key}.{extension}\n" for extension, sha in members).encode()).hexdigest()


def set_digest(samples: Iterable[str]) -> str:
    """SHA-256 of the samples' digests in the order of the set; the same however they are spread over shards."""
    return hashlib.sha256("".join(f"{digest}\n" for digest in samples).encode()).hexdigest()
