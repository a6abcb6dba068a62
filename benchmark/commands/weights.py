"""weights push, weights pull: trained weights to and from the store that others read."""

from __future__ import annotations

from collections import Counter

import typer

from registry.load import Registry
from registry.select import with_references
from registry.spec import InputError, Unavailable

from . import app
from .console import counted
from .options import Seeds, Selectors

weights = typer.Typer(
    no_args_is_help=True,
    help="Trained weights in the store that $REGBENCH_WEIGHTS names: a folder, or a URL of fsspec.",
)
app.add_typer(weights, name="weights")


@weights.command(epilog="Example: regbench weights push quickstart")
def push(selectors: Selectors, seeds: Seeds = None) -> None:
    """Copy the weights of trials that ran here, and of their references, to the store."""
    from ..records import home
    from ..records.home import TrialFolder
    from ..records.weights import weights_store

    store = weights_store()
    trials = with_references(trial for _, trial in Registry().select(selectors, seeds))
    trained = [trial for trial in trials if TrialFolder(home(), trial.key).is_trained]
    if not trained:
        raise InputError(
            f"weights: none of the {len(trials)} trials is trained in {home()}; `regbench run` "
            "trains them"
        )
    found = Counter(store.push(trial, home()) for trial in counted(trained, "pushing"))
    print(
        f"{store.url}: {found['pushed']} pushed, {found['there']} there already, "
        f"{len(trials) - len(trained)} not trained here"
    )


@weights.command(epilog="Example: regbench weights pull 'quickstart' --seeds 1")
def pull(selectors: Selectors, seeds: Seeds = None) -> None:
    """Copy the weights of trials, and of their references, from the store: a new threat then needs
    no training. Ends with 1 where the store lacks some.
    """
    from ..records import home
    from ..records.home import sole_runner
    from ..records.weights import weights_store

    store = weights_store()
    trials = with_references(trial for _, trial in Registry().select(selectors, seeds))
    with sole_runner(home()):  # a run there may be writing the same weights
        found = [(trial, store.pull(trial, home())) for trial in counted(trials, "pulling")]
    counts = Counter(what for _, what in found)
    print(f"{store.url}: {counts['pulled']} pulled, {counts['here']} here already")
    if counts["missing"]:
        first = next(trial.label for trial, what in found if what == "missing")
        raise Unavailable(
            f"{store.url}: lacks {counts['missing']} of {len(trials)} trials, the first {first}; "
            "`regbench run` trains them"
        )
