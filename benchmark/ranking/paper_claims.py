"""What the registered rows say about the papers' claims.

`python -m benchmark.ranking.paper_claims` writes registry/results/README.md.

Every number is computed here, from rows alone. A claim that did not hold is said not to have held.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from registry.load import Registry
from registry.spec import Track

from ..records import registered
from ..records.home import home, write_whole
from ..records.store import Store
from . import standings as rank
from .equivalence import two_one_sided_tests
from .selection import seeds_ranked

EQUIVALENT = 0.02  # accuracies this near to each other count as equal
HEADER = """# What the registered results say

`python -m benchmark.ranking.paper_claims` computes this page from the rows beside it; a test compares the two.
Intervals are Student's 95 % over seeds, of differences paired by seed. "Held" is about these tracks,
small nets on small data, and nothing else.

| Claim | Held | Numbers |
|---|---|---|
"""


@dataclass(frozen=True)
class Finding:
    """`held` is None where rows are missing."""

    claim: str
    held: bool | None
    numbers: str


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with the half width of its confidence interval."""

    mean: float
    half: float

    @classmethod
    def of(cls, values: pd.Series) -> Interval:
        values = values.dropna()
        return cls(float(values.mean()), rank.half_width(values))

    @property
    def low(self) -> float:
        return self.mean - self.half

    @property
    def high(self) -> float:
        return self.mean + self.half

    def __format__(self, spec: str) -> str:
        return f"{self.mean:{spec}} ± {self.half:{spec}}"


def equivalent(differences: pd.Series) -> bool:
    values = differences.dropna()
    return (
        two_one_sided_tests(values.mean(), values.std(), len(values), EQUIVALENT).verdict
        == "equivalent"
    )


class Rows:
    """One track's registered scores under the names of its entries."""

    def __init__(self, track: Track, store: Store):
        self.track, self.store = track, store
        self.trials = [trial for _, trial in Registry().select([track.name]) if not trial.sandboxed]
        self.frame = rank.labelled(self.trials, store.scores({trial.key for trial in self.trials}))

    @property
    def complete(self) -> bool:
        """Whether every entry has two seeds or more, by which an interval can be given."""
        return not self.frame.empty and seeds_ranked(self.trials, self.frame) > 1

    def seeds(
        self,
        regularizer: str,
        strength: float,
        threat: str,
        metric: str,
        split: str = "test",
        architecture: str | None = None,
    ) -> pd.Series:
        """seed → value of one score of one entry."""
        f = self.frame
        mine = f[
            (f["architecture"] == (architecture or self.track.architectures[0]))
            & (f["regularizer"] == regularizer)
            & (f["lambda"] == strength)
            & (f["threat"] == threat)
            & (f["metric"] == metric)
            & (f["split"] == split)
        ]
        return mine.drop_duplicates("seed").set_index("seed")["value"].sort_index()

    def robust(
        self, regularizer: str, strength: float, architecture: str | None = None
    ) -> pd.Series:
        return self.seeds(
            regularizer,
            strength,
            self.track.headline,
            self.track.headline_metric,
            architecture=architecture,
        )

    def strengths(self, regularizer: str) -> list[float]:
        return sorted(
            {
                trial.entry.strength
                for trial in self.trials
                if trial.entry.regularizer == regularizer
            }
        )

    def learnt(self, regularizer: str, architecture: str | None = None) -> list[float]:
        """The strengths whose models reach the track's clean floor: a constant model has small
        margins for no merit.
        """
        return [
            strength
            for strength in self.strengths(regularizer)
            if self.seeds(
                regularizer, strength, "clean", "accuracy", "validation", architecture
            ).mean()
            >= self.track.clean_floor
        ]

    def left_out(self, regularizer: str, architecture: str | None = None, sign: str = "λ") -> str:
        """What to say of the strengths that are not learnt: in brackets, nothing where there are
        none.
        """
        learnt = self.learnt(regularizer, architecture)
        others = ", ".join(
            f"{strength:.3g}" for strength in self.strengths(regularizer) if strength not in learnt
        )
        return (
            f" ({sign} = {others} diverges or ends below the clean floor and is left out)"
            if others
            else ""
        )


def equivalence(rows: Rows, architecture: str, of_jacobian: float) -> tuple[bool, str]:
    """`jacobian` at `of_jacobian`·λ against `cross_lipschitz` at λ, over its whole grid: robust and
    clean accuracy.
    """
    found, largest, pairs = 0, 0.0, 0
    for strength in rows.strengths("cross_lipschitz"):
        other = next(
            s
            for s in rows.strengths("jacobian")
            if math.isclose(s, of_jacobian * strength, rel_tol=1e-9)
        )
        differences = [
            rows.robust("jacobian", other, architecture)
            - rows.robust("cross_lipschitz", strength, architecture),
            rows.seeds("jacobian", other, "clean", "accuracy", architecture=architecture)
            - rows.seeds(
                "cross_lipschitz", strength, "clean", "accuracy", architecture=architecture
            ),
        ]
        pairs += 1
        found += all(equivalent(difference) for difference in differences)
        largest = max(
            [
                largest,
                *(abs(difference.mean()) for difference in differences if difference.notna().any()),
            ]
        )
    return found == pairs, (
        f"{architecture}: equivalent within {100 * EQUIVALENT:.0f} points (two one-sided tests) at {found} "
        f"of {pairs} λ; largest mean difference {100 * largest:.2f} points"
    )


def binary_equivalence(rows: Rows) -> tuple[bool, str]:
    return _over_architectures(rows, 1.0)


def multiclass_equivalence(rows: Rows) -> tuple[bool, str]:
    return _over_architectures(rows, 2 / Registry().dataset(rows.track.dataset).num_classes)


def _over_architectures(rows: Rows, of_jacobian: float) -> tuple[bool, str]:
    found = [
        equivalence(rows, architecture, of_jacobian) for architecture in rows.track.architectures
    ]
    return all(held for held, _ in found), "; ".join(text for _, text in found)


def curvature_at_large_lambda(rows: Rows) -> tuple[bool, str]:
    held, texts = True, []
    for architecture in rows.track.architectures:
        learnt, left_out = (
            rows.learnt("curvature", architecture),
            rows.left_out("curvature", architecture),
        )
        if not learnt:
            held = False
            texts.append(f"{architecture}: no λ of curvature reaches the clean floor")
            continue
        others = {
            name: rows.robust(name, learnt[-1], architecture)
            for name in ("input_gradient", "jacobian", "cross_lipschitz")
        }
        best = max(
            (name for name, values in others.items() if len(values)),
            key=lambda name: others[name].mean(),
        )
        difference = Interval.of(
            100 * (rows.robust("curvature", learnt[-1], architecture) - others[best])
        )
        held &= difference.low > 0
        texts.append(
            f"{architecture}: at λ = {learnt[-1]:g}{left_out} curvature leads {best} by {difference:.1f} points"
        )
    return held, "; ".join(texts)


AT = "adversarial_training"


def _ends(rows: Rows, threat: str, metric: str, split: str = "test") -> tuple[pd.Series, pd.Series]:
    """Of the control and of the strongest adversarial training that learns."""
    return (
        rows.seeds("none", 0.0, threat, metric, split),
        rows.seeds(AT, rows.learnt(AT)[-1], threat, metric, split),
    )


def _trend(rows: Rows, value: Callable[[str, float], pd.Series]) -> str:
    strengths = [("none", 0.0), *((AT, strength) for strength in rows.learnt(AT))]
    return " → ".join(f"{value(*entry).mean():.3g}" for entry in strengths) + rows.left_out(
        AT, sign="ε"
    )


def margins_concentrate(rows: Rows) -> tuple[bool, str]:
    clean, strong = _ends(rows, "margins", "margin:std")
    mean, strong_mean = _ends(rows, "margins", "margin")
    change = Interval.of(strong / clean)
    relative = Interval.of((strong / strong_mean) / (clean / mean))
    trend = _trend(rows, lambda name, s: rows.seeds(name, s, "margins", "margin:std"))
    return change.high < 1, (
        f"standard deviation of test margins over strengths: {trend}; strongest against none: "
        f"{change:.3f} times, of deviation over mean {relative:.3f} times"
    )


def gap_shrinks(rows: Rows) -> tuple[bool, str]:
    def gap(name: str, strength: float) -> pd.Series:
        return rows.seeds(name, strength, "clean", "loss") - rows.seeds(
            name, strength, "clean", "loss", "train"
        )

    change = Interval.of(gap(AT, rows.learnt(AT)[-1]) - gap("none", 0.0))
    return (
        change.high < 0,
        f"test less training loss over strengths: {_trend(rows, gap)}; strongest less none: {change:.3f}",
    )


def spectra_narrow(rows: Rows) -> tuple[bool, str]:
    table = rows.store.query(
        "SELECT trial_key AS key, sum(value) AS value FROM layer WHERE metric = 'sigma_std' "
        "AND kind IN ('linear', 'conv_fft') GROUP BY trial_key"
    ).set_index("key")["value"]

    def spread(name: str, strength: float) -> pd.Series:
        mine = {
            t.seed: table.get(t.key, math.nan)
            for t in rows.trials
            if (t.entry.regularizer, t.entry.strength) == (name, strength)
        }
        return pd.Series(mine, dtype=float)

    change = Interval.of(spread(AT, rows.learnt(AT)[-1]) - spread("none", 0.0))
    return change.high < 0, (
        f"standard deviation of a layer's singular values, summed over layers, over strengths: "
        f"{_trend(rows, spread)}; strongest less none: {change:.3f}"
    )


def _chosen(rows: Rows, table: pd.DataFrame, method: str) -> tuple[str, float]:
    row = table[table["regularizer"].str.split(":").str[0] == method].iloc[0]
    return row["regularizer"], row["lambda"]


def hoelder_over_lipschitz(rows: Rows) -> tuple[bool, str]:
    table = rank.standings(
        rows.track, rows.trials, rows.store.scores({trial.key for trial in rows.trials})
    )
    hoelder, lipschitz = (
        _chosen(rows, table, name) for name in ("cross_hoelder", "cross_lipschitz")
    )
    if hoelder[1] is None or lipschitz[1] is None or pd.isna(hoelder[1]) or pd.isna(lipschitz[1]):
        return False, "no λ of one of the two reaches the clean floor"
    difference = Interval.of(100 * (rows.robust(*hoelder) - rows.robust(*lipschitz)))
    return difference.low > 0, (
        f"{rows.track.headline}, each at its selected λ ({hoelder[1]:g}, {lipschitz[1]:g}): "
        f"Cross-Hölder leads by {difference:.1f} points"
    )


def gradient_underestimates(rows: Rows) -> tuple[bool, str]:
    share = Interval.of(rows.seeds("none", 0.0, "margin_curvature", "along_share"))
    return share.high < 0.9, f"mean ‖H·g/‖g‖‖ / ‖H‖ without a regularizer: {share:.2f}"


def operator_norm_like_adversarial_training(rows: Rows) -> tuple[bool, str]:
    adversarial = f"{AT}:norm=2", 1.0

    def validation(name: str, strength: float) -> float:
        return rows.seeds(name, strength, "clean", "accuracy", "validation").mean()

    target, chosen = validation(*adversarial), {}
    for name in ("data_dependent_operator_norm", "global_spectral_norm"):
        chosen[name] = min(
            rows.strengths(name), key=lambda s, name=name: abs(validation(name, s) - target)
        )
    measures = {
        "robust accuracy": (rows.track.headline, rows.track.headline_metric),
        "alignment with v₁": ("perturbed", "alignment_1"),
        "relative deviation from linearity": ("perturbed", "relative_deviation_1"),
    }
    held, texts = True, []
    for words, (threat, metric) in measures.items():
        base = rows.seeds(*adversarial, threat, metric)
        near, far = (
            Interval.of(rows.seeds(name, s, threat, metric) - base) for name, s in chosen.items()
        )
        held &= abs(near.mean) + near.half < abs(far.mean) - far.half
        texts.append(
            f"{words} less that of adversarial training ({base.mean():.3f}): operator norm {near:.3f}, "
            f"global spectral norm {far:.3f}"
        )
    where = ", ".join(f"{name} λ = {strength:g}" for name, strength in chosen.items())
    return held, f"at the λ whose validation accuracy is nearest ({where}): " + "; ".join(texts)


CLAIMS: list[tuple[str, str, Callable[[Rows], tuple[bool, str]]]] = [
    (
        "Two classes: µ² and Ω do the same at equal λ (Guo et al.)",
        "guo-fashion-binary",
        binary_equivalence,
    ),
    (
        "Two classes of digits: µ² and Ω do the same at equal λ (Guo et al.)",
        "digits-binary",
        binary_equivalence,
    ),
    (
        "One layer: µ² and Ω have the same minimum (Guo et al., Prop. 3.4)",
        "guo-final-layer",
        binary_equivalence,
    ),
    (
        "Many classes: µ² at 2λ/K and Ω at λ do the same (Guo et al.)",
        "guo-fashion",
        multiclass_equivalence,
    ),
    (
        "Curvature is the most robust at large λ (Guo et al.)",
        "guo-fashion-binary",
        curvature_at_large_lambda,
    ),
    ("Adversarial training concentrates margins (Wen et al.)", "wen-fashion", margins_concentrate),
    ("The generalization gap shrinks with its strength (Wen et al.)", "wen-fashion", gap_shrinks),
    ("Singular values spread less (Wen et al.)", "wen-fashion", spectra_narrow),
    (
        "Cross-Hölder is more robust than Cross-Lipschitz (Cross-Hölder)",
        "cross-hoelder-fashion",
        hoelder_over_lipschitz,
    ),
    (
        "Curvature along the gradient under-estimates ‖H‖ (Cross-Hölder)",
        "cross-hoelder-fashion",
        gradient_underestimates,
    ),
    (
        "The data-dependent operator norm is like adversarial training, the global spectral norm is not (Roth et al.)",
        "roth-fashion",
        operator_norm_like_adversarial_training,
    ),
]


LEARNING = (
    margins_concentrate,
    gap_shrinks,
    spectra_narrow,
)  # they compare the strongest adversarial training that learns


def findings(store: Store) -> list[Finding]:
    """Every claim's verdict by the rows of `store`."""
    found = []
    for claim, name, judge in CLAIMS:
        rows = Rows(Registry().track(name), store)
        if not rows.complete:
            held, numbers = None, "fewer than two seeds have run"
        elif judge in LEARNING and not rows.learnt(AT):
            held, numbers = None, "no strength of adversarial training reaches the clean floor"
        else:
            held, numbers = judge(rows)
        found.append(Finding(claim, held, f"{name}: {numbers}"))
    return found


def render(found: list[Finding]) -> str:
    """The page, Markdown."""
    words = {True: "yes", False: "no", None: "–"}
    return HEADER + "".join(f"| {f.claim} | {words[f.held]} | {f.numbers} |\n" for f in found)


def main() -> None:
    path = registered.database(home())
    if path is None:
        raise SystemExit(
            f"no registered results in {registered.results()}: `regbench export` writes them"
        )
    write_whole(registered.results() / "README.md", render(findings(Store(path))))
    print(f"wrote {registered.results() / 'README.md'}")


if __name__ == "__main__":
    main()
