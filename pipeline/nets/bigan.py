"""BiGAN's discriminator of pairs (Donahue, Krahenbuhl, Darrell; ICLR 2017, arXiv 1605.09782): a picture and its code.

The picture passes DCGAN's halvings, the code a layer of its own, both together one more, as in the published code of
"Efficient GAN-based anomaly detection" (Zenati et al. 2018, arXiv 1802.06222), but for its dropout. That last layer is the f of
their score.
"""

import torch
from torch import nn

from pipeline.nets.dcgan import SLOPE, DCGANNorm, check_pictures, halvings


class PairDiscriminator(nn.Module):
    """Pictures N C size size and codes N latent -> logits N, high where the code came from the picture.

    Arguments as DCGANDiscriminator's, and hidden: numbers of the layer that sees both (half as many of the code's own).
    """

    def __init__(
        self, size: int, latent: int, channels: int = 3, width: int = 64, hidden: int = 1024, norm: DCGANNorm = "batch"
    ) -> None:
        super().__init__()
        self.picture = (channels, size, size)
        self.body, features = halvings(size, channels, width, norm)
        self.code = nn.Sequential(nn.Linear(latent, hidden // 2), nn.LeakyReLU(SLOPE, True))
        self.both = nn.Sequential(nn.Linear(features + hidden // 2, hidden), nn.LeakyReLU(SLOPE, True))
        self.score = nn.Linear(hidden, 1)

    def forward(self, image: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
        return self.with_features(image, code)[0]

    def with_features(self, image: torch.Tensor, code: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits N, and the layer before them, N hidden."""
        check_pictures(image, self.picture)
        features = self.both(torch.cat([self.body(image), self.code(code)], 1))
        return self.score(features)[:, 0], features
