"""AutoAttack as the package `pyautoattack` runs it (Croce & Hein 2020): the one file that builds
it.
"""

from __future__ import annotations

import hashlib
import logging
import re
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from registry.spec import InputError, Norm

from .apgd_targeted import apgd_targeted, worthwhile
from .checkpoint import Progress, resumed
from .fab import fab
from .frozen import Model, frozen
from .incremental_square import Entrance, incremental_square
from .objective import misclassified

if TYPE_CHECKING:
    from pyautoattack import AutoAttack

# What the package's log may say about a defence, by the sentence it says it in.
WARNINGS = {
    "randomized": "randomized defense",
    "probabilities": "output is a probability distribution",
    "zero_gradients": "points with zero gradient",
    "square_helped": "Square Attack has decreased",
    "dynamic": "dynamic defense",
    "classes": "target classes|DLR loss",
}
WHITE_BOX = ("apgd-ce", "apgd-t")  # the members of the threat "apgd"


def autoattack(
    model: Model,
    x: Tensor,
    y: Tensor,
    epsilon: float,
    norm: Norm = "inf",
    *,
    seed: int,
    batch_size: int = 250,
    only: Collection[str] | None = None,
    own: bool = False,
    entrance: Entrance | None = None,
    checkpoint: Path | None = None,
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """The standard version: APGD-CE, APGD-T, FAB-T and Square, the targeted ones against min(9,
    K−1) classes.

    For K = 2 and 3, where the DLR loss or its targeted form isn't defined: APGD-CE, FAB and Square,
    with the package's own five restarts. Each member runs on what those before it left, as in the
    package, so that the results are those of one call of it. The package draws its random numbers
    for a batch as a whole: here, and only here, an example's result depends on the examples beside
    it and on the batch size. The global random state is left as it was.

    Args:
        model: images [N,C,H,W] → logits [N,K].
        x: [N,C,H,W] in [0,1]; attacked in float32, as the package does.
        y: [N] class indices.
        only: run just these of the members, e.g. WHITE_BOX.
        own: run FAB-T as `fab.fab` does: the package's steps, for all targets at once and with a
            projection that does not sort; APGD-T for all targets at once as well, where few
            examples are left (`apgd_targeted`); and, given an entrance, Square in ℓ∞ as
            `incremental_square` does.
        entrance: the model in two parts, if it begins with a dense layer.
        checkpoint: a file that is rewritten after each member; an interrupted run of the same
            attack goes on from it.
    Returns:
        adversarial [N,C,H,W], x itself where no attack succeeded or none was needed; misclassified
        [N], the package's own verdict, True also where logits aren't finite; info: package,
        version, attacks, target classes, seed, batch size, `attacked`, how many examples it had to
        attack as they were classified rightly, `robust`, the share that stood after each member of
        the examples with finite logits, and `warnings`, the distinct messages of the package's log
        by kind (a key of WARNINGS).
    Raises:
        InputError: ℓ2 on images of fewer than 5 rows, for which Square has no start.
    """
    with torch.no_grad(), frozen(model):
        logits = torch.cat([model(part) for part in x.float().split(batch_size)])
    # Logits that aren't finite would break the package's bookkeeping, and are wrong answers
    # already.
    usable = logits.isfinite().all(1)
    attacker = assemble(model, logits.shape[1], epsilon, norm, seed, x.device)
    members = [member for member in attacker.attacks_to_run or () if only is None or member in only]
    if norm == "2" and x.shape[2] < 5 and "square" in members:
        raise InputError(
            f"threat autoattack-2: images have {x.shape[2]} rows; its Square attack needs at least "
            "5"
        )
    ours = own, entrance is not None
    identity = f"{members} {norm} {epsilon!r} {seed} {batch_size} {ours} {_digest(x, y)}"
    done = resumed(checkpoint, identity, x.device) or Progress(x.clone(), ~usable, {}, [])
    # FAB differentiates to every leaf that asks for it. The model itself runs, not `in_blocks`: the
    # package's own bits.
    with frozen(model), _log(done.messages), _unchanged_process(x.device):
        for member in members:
            left = (~done.misclassified).nonzero()[:, 0]
            if member in done.robust or not len(left):
                continue
            clean = x[left].float()
            found = None
            if own:
                found = _ours(member, attacker, model, entrance, clean, y[left], seed, batch_size)
            if found is None:
                attacker.attacks_to_run = [member]
                found, predicted = attacker.run_standard_evaluation(
                    clean, y[left], batch_size=batch_size
                )
                fallen = predicted != y[left]
            else:
                pairs = zip(found.split(batch_size), y[left].split(batch_size))
                fallen = torch.cat([misclassified(model(part), labels) for part, labels in pairs])
            moved = (found != clean).flatten(1).any(1).view(-1, 1, 1, 1)
            done.adversarial[left] = found.to(x.dtype).where(moved, x[left])
            done.misclassified[left] = fallen
            done.robust[member] = float((~done.misclassified[usable]).double().mean())
            if checkpoint is not None:
                done.save(checkpoint, identity)
        if len(done.robust) > 1:  # of a run of one member the package cannot tell
            check_square(done.robust, attacker.logger)
    targeted = "apgd-t" in members
    info = {
        "package": f"pyautoattack {version('pyautoattack')}",
        "version": attacker.version,
        "attacks": members,
        "target_classes": attacker.apgd_targeted.n_target_classes if targeted else 0,
        "seed": seed,
        "batch_size": batch_size,
        "attacked": int((~misclassified(logits, y)).sum()),
        "robust": done.robust,
        "own": own,
        "warnings": by_kind(done.messages),
    }
    return done.adversarial, done.misclassified, info


def _digest(*tensors: Tensor) -> str:
    """Of their shapes and content."""
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
        found.update(tensor.cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def _ours(
    member: str,
    attacker: AutoAttack,
    model: Model,
    entrance: Entrance | None,
    x: Tensor,
    y: Tensor,
    seed: int,
    batch_size: int,
) -> Tensor | None:
    """What our own form of a member finds; None where there is none."""
    norm: Norm = "inf" if attacker.norm == "Linf" else "2"
    epsilon = attacker.epsilon
    if member == "apgd-t" and worthwhile(x, attacker.apgd_targeted.n_target_classes):
        return apgd_targeted(attacker.apgd_targeted, model, x, y, seed=seed)
    if member == "fab-t":
        return fab(model, x, y, epsilon, norm, targets=attacker.fab.n_target_classes)
    if member == "square" and entrance is not None and norm == "inf":
        return incremental_square(model, entrance, x, y, epsilon, seed=seed, batch_size=batch_size)
    return None


def check_square(robust: dict[str, float], logger: logging.Logger) -> None:
    """The package's own check: does the black-box member break more than 0.2 points of what the
    others left?
    """
    from pyautoattack.checks import check_square_sr

    check_square_sr({"clean": 1.0} | robust, logger=logger)


def square(
    model: Model,
    x: Tensor,
    y: Tensor,
    epsilon: float,
    norm: Norm = "inf",
    *,
    seed: int,
    queries: int,
) -> Tensor:
    """The black-box Square attack alone (Andriushchenko et al. 2020): what a search without any
    gradient finds.

    Args:
        model: images [N,C,H,W] → logits [N,K], all finite.
        x: [N,C,H,W] in [0,1], classified as y.
        queries: forward passes for each example.
    Returns:
        [N,C,H,W], without gradient; x itself where the search failed.
    """
    attacker = assemble(model, 2, epsilon, norm, seed, x.device)
    attacker.square.n_queries, attacker.square.seed = queries, seed
    with torch.no_grad(), frozen(model), _unchanged_process(x.device):
        return attacker.square.perturb(x, y)


def assemble(
    model: Model, classes: int, epsilon: float, norm: Norm, seed: int, device: torch.device
) -> AutoAttack:
    """The package's attack on `classes` logits, not yet run."""
    from pyautoattack import AutoAttack

    # Square writes into the logits it is given: they must be nobody else's.
    network = _OwnLogits(model)
    attacker = AutoAttack(
        network,
        norm="Linf" if norm == "inf" else "L2",
        eps=epsilon,
        seed=seed,
        device=device,
        version="standard" if classes >= 4 else "custom",
        attacks=None if classes >= 4 else ["apgd-ce", "fab", "square"],
    )
    attacker.apgd_targeted.n_target_classes = attacker.fab.n_target_classes = min(9, classes - 1)
    return attacker


def by_kind(messages: list[str]) -> dict[str, list[str]]:
    """The log's distinct messages under the kind each belongs to; "other" for a sentence that is
    not in WARNINGS.
    """
    kinds: dict[str, list[str]] = {}
    for message in dict.fromkeys(message.split(" See ")[0] for message in messages):
        fitting = [kind for kind, sentence in WARNINGS.items() if re.search(sentence, message)]
        kinds.setdefault(fitting[0] if fitting else "other", []).append(message)
    return kinds


class _OwnLogits(nn.Module):
    """Any callable as a module whose output may be written to."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        # Not a submodule: its mode and parameters stay with whoever froze it.
        self.call = lambda x: model(x).clone()

    def forward(self, x: Tensor) -> Tensor:
        return self.call(x)


@contextmanager
def _log(messages: list[str]) -> Iterator[None]:
    """Adds what the package's logger warns of."""
    logger, handler = logging.getLogger("auto-attack"), logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


@contextmanager
def _unchanged_process(device: torch.device) -> Iterator[None]:
    """Undoes what the package does to the process: it seeds torch, unhooks any tracer, and counts
    calls for ever.
    """
    from pyautoattack import checks

    for name in checks.funcs:  # else one dynamic model would make every later one seem so
        checks.funcs[name] = 0
    tracer = sys.gettrace()
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        sys.settrace(tracer)
