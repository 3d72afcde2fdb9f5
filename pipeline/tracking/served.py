"""A registered model in use: `mlflow.pyfunc.load_model` calls this module, which reads the model directory.

Imports no mlflow; this file and the rest of `pipeline` travel with the model.
"""

from collections.abc import Callable

import numpy as np

Predict = Callable[[np.ndarray], np.ndarray]


class Served:
    """What mlflow wraps: an object with `predict`."""

    def __init__(self, predict_one: Predict) -> None:
        self._predict_one = predict_one

    def predict(self, pictures: np.ndarray) -> np.ndarray:
        """RGB pictures (N, H, W, 3) uint8 -> trainIds (N, H, W) of a segmenter, pictures of a translator; uint8.

        One by one, as the stages do it: equal to their results, and memory does not grow with N.
        """
        return np.stack([self._predict_one(picture) for picture in pictures])


def _load_pyfunc(folder: str) -> Served:
    """mlflow's entry point. Raises UserError for a model directory that cannot be read."""
    from pipeline.engine.model import load_model
    from pipeline.sample import Sample
    from pipeline.scoring import predict
    from pipeline.translation import drawn

    model = load_model(folder)
    if model.module.ABILITY == "translator":
        return Served(lambda picture: drawn(model, Sample("picture", picture)))
    return Served(lambda picture: predict(model, picture))
