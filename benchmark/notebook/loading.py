"""Trained models and test images by their names."""

from __future__ import annotations

from torch import Tensor, nn

from registry import select
from registry.load import Registry
from registry.spec import Unavailable

from .. import data
from ..records.home import TrialFolder, home
from ..records.weights import weights_store
from ..training import networks
from .arguments import whole_number


def load_model(entry: str, seed: int = 0) -> nn.Module:
    """The trained model of an entry, in evaluation mode on the CPU: images [B, C, H, W] in [0, 1] →
    logits [B, K].

    Its weights are read from `$REGBENCH_HOME`, or else pulled there from `$REGBENCH_WEIGHTS`.

    Args:
        entry: its id, `digits/lenet_300_100/jacobian/0.1`, in which a track's name may stand for
            the data set: `quickstart/lenet_300_100/jacobian/0.1`.
    Raises:
        InputError: no such entry or seed, several that are trained differently, or no such weights.
    """
    trial = select.trial(Registry(), entry, whole_number("load_model: seed", seed, 0))
    folder = TrialFolder(home(), trial.key)
    if not folder.is_trained:
        store = weights_store()
        if store.pull(trial, home()) == "missing":
            raise Unavailable(f"{store.url}: lacks {trial.label}; `regbench run` trains it")
    return networks.load(trial.architecture, trial.dataset, folder.weights).eval()


def load_images(dataset: str, n_examples: int | None = None) -> tuple[Tensor, Tensor]:
    """The first test images of a data set in their fixed order, and their classes.

    Args:
        dataset: its id, `digits`, or `mnist:1,7` for two of its classes.
        n_examples: all that there are where it is left out.
    Returns:
        float32 [N, C, H, W] in [0, 1] and int64 [N], on the CPU.
    Raises:
        InputError: an unknown data set, or no number of images from 1 on.
    """
    if n_examples is not None:
        n_examples = whole_number("load_images: n_examples", n_examples, 1)
    test = data.load(Registry().dataset(dataset), home()).test
    count = len(test) if n_examples is None else n_examples
    return test.pixels(slice(count)), test.labels[:count]
