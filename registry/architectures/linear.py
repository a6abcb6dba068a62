"""One layer: what theorems about single-layer networks, or about training the last layer alone, are
about.
"""

from __future__ import annotations

from torch import nn

from .layers import fan_in_uniform_, initialise, register_from_scratch


@register_from_scratch
def linear_classifier(
    num_classes: int = 10, in_chans: int = 1, img_size: tuple[int, int] = (28, 28)
) -> nn.Module:
    """One fully connected layer from pixels to logits: 7,850 parameters on MNIST. Images [B, C, H,
    W] → logits [B, K].
    """
    net = nn.Sequential(nn.Flatten(), nn.Linear(in_chans * img_size[0] * img_size[1], num_classes))
    initialise(net, fan_in_uniform_, fan_in_uniform_)
    return net
