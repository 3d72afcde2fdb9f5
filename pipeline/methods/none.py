"""No translation: the source's shards are handed on as they are."""

ABILITY = "rival"
USES_TARGET_LABELS = False
BLOCKS: tuple[str, ...] = ()
