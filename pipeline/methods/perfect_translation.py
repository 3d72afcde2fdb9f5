"""The perfect translation: the embedded world renders the source's scenes in the target's look.

What a translator that changed appearance alone, and got all of it right, would give: the exact ceiling of them all.
Only a simulator can give it.
"""

ABILITY = "rival"
USES_TARGET_LABELS = False
BLOCKS: tuple[str, ...] = ()
