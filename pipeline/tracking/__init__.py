"""MLflow as a view of the result files, and the only package here that imports mlflow.

The files are the record. `sync` makes MLflow show them: one parent run a set of parameters, one child run an output of
a stage, each exactly once however often it was killed, cached, restored or run as an experiment. `Live` lets a training
be watched on a tracking server while it runs. Neither ever stops or fails a run. See docs/tracking.md.
"""

from pipeline.tracking.fill import sync
from pipeline.tracking.live import Live

__all__ = ["Live", "sync"]
