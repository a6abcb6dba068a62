"""Scores → standings: pure functions of tables. λ is chosen on validation images, never on test.

The score of a method is its accuracy under the track's headline threat at the λ that
`select_lambda` picks, as a mean over seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import pandas as pd
from scipy.special import stdtrit  # scipy.stats has it too, and takes seconds to import

from registry.spec import TIER_ATTACKS, Part, Tier, Track, Trial

from ..records.flags import CHECKS, check_scores, optimality_gaps

GROUP = ["architecture", "regularizer", "lambda"]


def half_width(values: pd.Series) -> float:
    """Half of Student's 95 % confidence interval of a mean over seeds; NaN for fewer than two."""
    n = len(values)
    return float(stdtrit(n - 1, 0.975) * values.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan


def labelled(trials: Sequence[Trial], scores: pd.DataFrame) -> pd.DataFrame:
    """The store's scores under the names of the entries that ask for them (a control may serve
    several entries).

    Only scores on as many examples as the entry's track asks for are taken.
    """
    wanted = pd.DataFrame(
        [
            {
                "key": trial.key,
                "architecture": trial.entry.architecture,
                "regularizer": trial.entry.regularizer,
                "lambda": trial.entry.strength,
                "seed": trial.seed,
            }
            for trial in trials
        ]
    )
    columns = [
        "key",
        "status",
        "train_seconds",
        "threat",
        "split",
        "metric",
        "examples",
        "value",
        "flags",
    ]
    if scores.empty:
        scores = pd.DataFrame(columns=columns)
    asked = {(trial.key, *part.id) for trial in trials for part in trial.evaluation}
    mine = [
        status == "diverged" or row in asked
        for status, row in zip(
            scores["status"],
            scores[["key", "threat", "split", "examples"]].itertuples(index=False, name=None),
        )
    ]
    return wanted.merge(scores.loc[mine, columns], on="key", how="inner")


def sweep(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each (architecture, regularizer, λ, threat, split, metric): mean, half_width and
    seeds.

    Args:
        rows: as `labelled` gives them.
    """
    finished = rows[(rows["status"] == "finished") & rows["metric"].notna()]
    grouped = finished.groupby([*GROUP, "threat", "split", "metric"], sort=False)["value"]
    return grouped.agg(mean="mean", half_width=half_width, seeds="count").reset_index()


def seeds_ranked(trials: Sequence[Trial], rows: pd.DataFrame) -> int:
    """How many seeds the ranking rests on: the most, counted from 0, that most of the methods that
    have run have in full.

    So the board stands while a run goes through a further seed, and a method that lags behind does
    not hold back many.
    """
    have = set(rows["key"])
    methods: dict[tuple[str, str], dict[int, bool]] = {}
    for trial in trials:
        seeds = methods.setdefault((trial.entry.architecture, trial.entry.regularizer), {})
        seeds[trial.seed] = seeds.get(trial.seed, True) and trial.key in have
    complete = [
        next((n for n, seed in enumerate(sorted(seeds)) if not seeds[seed]), len(seeds))
        for seeds in methods.values()
    ]
    begun = sorted((n for n in complete if n), reverse=True)
    return begun[len(begun) // 2] if begun else 0


def select_lambda(track: Track, method: pd.DataFrame, seeds: int) -> float | None:
    """The λ with the best mean accuracy under the headline threat on validation images, among those
    whose mean clean validation accuracy is at least the track's floor and which no seed diverged
    at. None where there is none.

    Args:
        method: the `sweep` rows of one method on one architecture.
    """
    validation = method[(method["split"] == "validation") & (method["seeds"] >= seeds)]
    clean = validation[
        (validation["threat"] == "clean") & (validation["metric"] == "accuracy")
    ].set_index("lambda")["mean"]
    robust = validation[
        (validation["threat"] == track.headline) & (validation["metric"] == track.headline_metric)
    ].set_index("lambda")["mean"]
    allowed = robust[robust.index.isin(clean.index[clean >= track.clean_floor])]
    best = sorted(zip((-allowed).tolist(), allowed.index.tolist()))  # of equals the smallest λ
    return best[0][1] if best else None


def standings(track: Track, trials: Sequence[Trial], scores: pd.DataFrame) -> pd.DataFrame:
    """One row a method and architecture, best first; methods that cannot be ranked follow, with the
    reason in `why`.

    Columns: track, architecture, rank, regularizer, lambda, seeds, seeds_asked, diverged, clean,
    clean_half_width, then for every threat its mean and `…_half_width` (accuracy in [0, 1], or mean
    ‖r‖/‖x‖ for an attack without ε), cost (training time per trial relative to `none`), tier (the
    highest that is complete for the selected λ; "" while not even the track's own threats are),
    flags (the honesty flags of the selected λ's trials), why. A flag keeps a method out of the
    ranking.
    """
    trials = [track.with_tiers(trial) for trial in trials]
    everything = labelled(trials, scores)
    seeds = seeds_ranked(trials, everything)
    rows = everything[everything["seed"] < seeds]
    table = sweep(rows)
    result = []
    for architecture in track.architectures:
        seconds = rows[rows["architecture"] == architecture].drop_duplicates(["key", "regularizer"])
        cost = (
            seconds[seconds["status"] == "finished"]
            .groupby("regularizer")["train_seconds"]
            .median()
        )
        methods = dict.fromkeys(
            t.entry.regularizer for t in trials if t.entry.architecture == architecture
        )
        for regularizer in methods:
            mine = table[
                (table["architecture"] == architecture) & (table["regularizer"] == regularizer)
            ]
            asked = [
                t
                for t in trials
                if t.entry.architecture == architecture
                and t.entry.regularizer == regularizer
                and t.seed < max(seeds, 1)
            ]
            run = set(
                rows.loc[
                    (rows["architecture"] == architecture) & (rows["regularizer"] == regularizer),
                    "key",
                ]
            )
            missing = sum(trial.key not in run for trial in asked)
            diverged = rows[
                (rows["status"] == "diverged")
                & (rows["architecture"] == architecture)
                & (rows["regularizer"] == regularizer)
            ]["key"].nunique()
            chosen = select_lambda(track, mine, seeds) if not missing else None
            why = ""
            if missing:
                why = f"incomplete: {missing} of {len(asked)} trials have not run"
            elif chosen is None:
                why = f"no λ reaches the clean floor of {track.clean_floor:.0%}" + (
                    f"; {diverged} trials diverged" if diverged else ""
                )
            row = {
                "track": track.name,
                "architecture": architecture,
                "rank": None,
                "regularizer": regularizer,
                "lambda": chosen,
                "seeds": seeds,
                "seeds_asked": track.seeds,
                "diverged": diverged,
            }
            row |= _numbers(track, mine[mine["lambda"] == chosen])
            row["cost"] = cost.get(regularizer, math.nan) / cost.get("none", math.nan)
            selected = [trial for trial in asked if trial.entry.strength == chosen]
            of_selected = rows[rows["key"].isin([trial.key for trial in selected])]
            row["tier"] = tier_of(track, selected, of_selected)
            flagged = flags(selected, of_selected)
            row["flags"] = ", ".join(flagged)
            if not why and not row["tier"]:
                why = "incomplete: a part of the evaluation at the selected λ has not run"
            if flagged and not why:
                why = "flagged: " + "; ".join(
                    f"{CHECKS[flag].tell(max(values)) if flag in CHECKS else flag} ({len(values)} of {seeds} seeds)"
                    for flag, values in flagged.items()
                )  # a flag may be of another version's check
            result.append(row | {"why": why})
    frame = pd.DataFrame(result)
    return _ranked(track, frame) if len(frame) else frame


def tier_of(track: Track, trials: Sequence[Trial], rows: pd.DataFrame) -> Tier | Literal[""]:
    """The highest tier whose part every one of `trials` has, above the track's own evaluation,
    which is "quick".

    Args:
        rows: as `labelled` gives them.
    """
    have = set(rows[["key", "threat", "split", "examples"]].itertuples(index=False, name=None))

    def complete(wanted: Callable[[Trial], Iterable[Part]]) -> bool:
        return bool(trials) and all(
            (trial.key, *part.id) in have for trial in trials for part in wanted(trial)
        )

    if not complete(lambda trial: track.evaluation):
        return ""
    tier: Tier = "quick"
    if track.headline_threat.epsilon is not None:
        for higher in TIER_ATTACKS:
            if complete(
                lambda trial, higher=higher: [track.tier_part(higher, trial.dataset.test_size)]
            ):
                tier = higher
    return tier


def flags(trials: Sequence[Trial], rows: pd.DataFrame) -> dict[str, list[float]]:
    """Flag → its value in each of `trials` that it is raised in: those stored with scores, and
    those of scores together.
    """
    found: dict[str, list[float]] = {}
    by_key = dict(
        tuple(rows[rows["metric"].notna()].groupby("key"))
    )  # a control stands there once for each name
    for trial in trials:
        mine = by_key.get(trial.key, rows.head(0))
        values = {
            flag: value for stored, value in zip(mine["flags"], mine["value"]) for flag in stored
        }
        is_accuracy = mine["metric"].isin(["accuracy", "robust_accuracy"])
        ids = mine.loc[is_accuracy, ["threat", "split", "examples"]].itertuples(
            index=False, name=None
        )
        together = check_scores(trial.evaluation, dict(zip(ids, mine.loc[is_accuracy, "value"])))
        values |= {check: value for check, value in together.items() if value > CHECKS[check].limit}
        for flag, value in values.items():
            found.setdefault(flag, []).append(float(value))
    return found


def selected_trials(
    track: Track, trials: Sequence[Trial], table: pd.DataFrame
) -> list[list[Trial]]:
    """For each row of the standings the trials that it is a mean of; none where no λ is selected."""
    rows = (
        table[["architecture", "regularizer", "lambda", "seeds"]].to_dict("records")
        if len(table)
        else []
    )
    methods: dict[tuple[str, str, float], list[Trial]] = {}
    for trial in trials:
        entry = trial.entry
        methods.setdefault((entry.architecture, entry.regularizer, entry.strength), []).append(
            trial
        )
    return [
        [
            trial
            for trial in methods.get((row["architecture"], row["regularizer"], row["lambda"]), ())
            if trial.seed < row["seeds"]
        ]
        for row in rows
    ]


def for_tier(track: Track, trials: Sequence[Trial], table: pd.DataFrame, tier: Tier) -> list[Trial]:
    """The trials that the standings rest on, each with what `tier` adds to its evaluation."""
    return [
        trial.also([track.tier_part(tier, trial.dataset.test_size)])
        for group in selected_trials(track, trials, table)
        for trial in group
    ]


def with_worst_case(
    track: Track, trials: Sequence[Trial], table: pd.DataFrame, examples: pd.DataFrame
) -> pd.DataFrame:
    """The standings with `worst` and `worst_half_width`: accuracy under the union of all attacks
    within the headline's norm and ε, on the test images that they share.

    Args:
        table: as `standings` gives it.
        examples: per-example values of "correct", as the store gives them: key, threat, examples,
            values.
    """
    names = {
        part.name
        for trial in trials
        for part in track.with_tiers(trial).evaluation
        if track.within_headline(part)
    }
    known: dict[str, dict[str, Sequence[float]]] = {}
    mine = (
        examples[examples["threat"].isin(names)]
        if len(examples)
        else pd.DataFrame(columns=["key", "threat", "values"])
    )
    for row in mine.sort_values("examples").to_dict("records") if len(mine) else ():
        known.setdefault(row["key"], {})[row["threat"]] = row[
            "values"
        ]  # of several samples the largest
    means, widths = [], []
    for group in selected_trials(track, trials, table):
        worst = pd.Series(
            [optimality_gaps(known[trial.key])[0] for trial in group if trial.key in known],
            dtype=float,
        )
        whole = (
            len(group) > 0
            and len(worst) == len(group)
            and track.headline_threat.epsilon is not None
        )
        means.append(worst.mean() if whole else math.nan)
        widths.append(half_width(worst) if whole else math.nan)
    return table.assign(worst=means, worst_half_width=widths)


def _numbers(track: Track, chosen: pd.DataFrame) -> dict[str, float]:
    """The columns of one row of the standings, from the `sweep` rows of the selected λ."""
    test = chosen[chosen["split"] == "test"]
    known = {
        (threat, metric): (mean, width)
        for threat, metric, mean, width in zip(
            test["threat"], test["metric"], test["mean"].tolist(), test["half_width"].tolist()
        )
    }
    numbers: dict[str, float] = {}
    wanted = [("clean", "accuracy")] + [
        (threat.id, "robust_accuracy" if threat.epsilon is not None else "relative_distance")
        for threat in track.threats
    ]
    for name, metric in wanted:
        numbers[name], numbers[f"{name}_half_width"] = known.get(
            (name, metric), (math.nan, math.nan)
        )
    return numbers


def _ranked(track: Track, frame: pd.DataFrame) -> pd.DataFrame:
    frame["rankable"] = frame["why"] == ""
    order = frame["architecture"].map({name: i for i, name in enumerate(track.architectures)})
    frame = frame.assign(order=order).sort_values(
        ["order", "rankable", track.headline], ascending=[True, False, False], kind="stable"
    )
    position = (
        frame[frame["rankable"]]
        .groupby("architecture", sort=False)[track.headline]
        .rank(method="min", ascending=False)
    )
    frame["rank"] = position.astype("Int64").reindex(frame.index)
    return frame.drop(columns=["order", "rankable"]).reset_index(drop=True)
