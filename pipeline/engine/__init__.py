"""The training engine: methods say which losses follow each other, the engine does the rest."""
