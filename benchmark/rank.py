"""Scores → standings: pure functions of tables. λ is chosen on validation images, never on test.

The score of a method is its accuracy under the track's headline threat at the λ that `select_lambda` picks, as a mean
over seeds.
"""
from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
from scipy.stats import t as student

from registry.spec import Track, Trial

GROUP = ["architecture", "regularizer", "lambda"]


def half_width(values: pd.Series, level: float = 0.95) -> float:
    """Half of Student's confidence interval of a mean over seeds; NaN for fewer than two."""
    n = len(values)
    return float(student.ppf((1 + level) / 2, n - 1) * values.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan


def labelled(trials: Sequence[Trial], scores: pd.DataFrame) -> pd.DataFrame:
    """The store's scores under the names of the entries that ask for them (a control may serve several entries).

    Only scores on as many examples as the entry's track asks for are taken.
    """
    wanted = pd.DataFrame(
        [{"key": trial.key, "architecture": trial.entry.architecture, "regularizer": trial.entry.regularizer,
          "lambda": trial.entry.strength, "seed": trial.seed} for trial in trials])
    columns = ["key", "status", "train_seconds", "threat", "split", "metric", "value", "flags"]
    if scores.empty:
        scores = pd.DataFrame(columns=[*columns, "examples"])
    asked = {(trial.key, *part.id) for trial in trials for part in trial.evaluation}
    mine = [status == "diverged" or row in asked for status, row in
            zip(scores["status"], scores[["key", "threat", "split", "examples"]].itertuples(index=False, name=None))]
    return wanted.merge(scores.loc[mine, columns], on="key", how="inner")


def sweep(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each (architecture, regularizer, λ, threat, split, metric): mean, half_width and seeds.

    Args:
        rows: as `labelled` gives them.
    """
    finished = rows[(rows["status"] == "finished") & rows["metric"].notna()]
    grouped = finished.groupby([*GROUP, "threat", "split", "metric"], sort=False)["value"]
    return grouped.agg(mean="mean", half_width=half_width, seeds="count").reset_index()


def seeds_ranked(trials: Sequence[Trial], rows: pd.DataFrame) -> int:
    """How many seeds the ranking rests on: the most, counted from 0, that at least one method has in full."""
    have = set(rows["key"])
    methods: dict[tuple[str, str], dict[int, bool]] = {}
    for trial in trials:
        seeds = methods.setdefault((trial.entry.architecture, trial.entry.regularizer), {})
        seeds[trial.seed] = seeds.get(trial.seed, True) and trial.key in have
    complete = [next((n for n, seed in enumerate(sorted(seeds)) if not seeds[seed]), len(seeds)) for seeds in methods.values()]
    return max(complete, default=0)


def select_lambda(track: Track, method: pd.DataFrame, seeds: int) -> float | None:
    """The λ with the best mean accuracy under the headline threat on validation images, among those whose mean clean
    validation accuracy is at least the track's floor and which no seed diverged at. None where there is none.

    Args:
        method: the `sweep` rows of one method on one architecture.
    """
    validation = method[(method["split"] == "validation") & (method["seeds"] >= seeds)]
    clean = validation[(validation["threat"] == "clean") & (validation["metric"] == "accuracy")].set_index("lambda")["mean"]
    robust = validation[(validation["threat"] == track.headline)
                        & (validation["metric"] == headline_metric(track))].set_index("lambda")["mean"]
    allowed = robust[robust.index.isin(clean.index[clean >= track.clean_floor])]
    best = sorted(zip((-allowed).tolist(), allowed.index.tolist()))  # of equals the smallest λ
    return best[0][1] if best else None


def headline_metric(track: Track) -> str:
    """What ranks: robust accuracy, or for an attack without ε the mean relative distance."""
    threat = next(threat for threat in track.threats if threat.id == track.headline)
    return "robust_accuracy" if threat.epsilon is not None else "relative_distance"


def standings(track: Track, trials: Sequence[Trial], scores: pd.DataFrame) -> pd.DataFrame:
    """One row a method and architecture, best first; methods that cannot be ranked follow, with the reason in `why`.

    Columns: track, architecture, rank, regularizer, lambda, seeds, seeds_asked, clean, clean_half_width, then for every
    threat its mean and `…_half_width` (accuracy in [0, 1], or mean ‖r‖/‖x‖ for an attack without ε), cost (training time
    per trial relative to `none`), why.
    """
    everything = labelled(trials, scores)
    seeds = seeds_ranked(trials, everything)
    rows = everything[everything["seed"] < seeds]
    table = sweep(rows)
    result = []
    for architecture in track.architectures:
        seconds = rows[rows["architecture"] == architecture].drop_duplicates(["key", "regularizer"])
        cost = seconds[seconds["status"] == "finished"].groupby("regularizer")["train_seconds"].median()
        methods = dict.fromkeys(t.entry.regularizer for t in trials if t.entry.architecture == architecture)
        for regularizer in methods:
            mine = table[(table["architecture"] == architecture) & (table["regularizer"] == regularizer)]
            asked = {(t.key, t.seed) for t in trials if t.entry.architecture == architecture
                     and t.entry.regularizer == regularizer and t.seed < max(seeds, 1)}
            run = set(rows.loc[(rows["architecture"] == architecture) & (rows["regularizer"] == regularizer), "key"])
            missing = sum(key not in run for key, _ in asked)
            diverged = rows[(rows["status"] == "diverged") & (rows["architecture"] == architecture)
                            & (rows["regularizer"] == regularizer)]["key"].nunique()
            chosen = select_lambda(track, mine, seeds) if not missing else None
            why = ""
            if missing:
                why = f"incomplete: {missing} of {len(asked)} trials have not run"
            elif chosen is None:
                why = f"no λ reaches the clean floor of {track.clean_floor:.0%}" + (
                    f"; {diverged} trials diverged" if diverged else "")
            row = {"track": track.name, "architecture": architecture, "rank": None, "regularizer": regularizer,
                   "lambda": chosen, "seeds": seeds, "seeds_asked": track.seeds, "diverged": diverged}
            row |= _numbers(track, mine[mine["lambda"] == chosen])
            row["cost"] = cost.get(regularizer, math.nan) / cost.get("none", math.nan)
            result.append(row | {"why": why})
    frame = pd.DataFrame(result)
    return _ranked(track, frame) if len(frame) else frame


def _numbers(track: Track, chosen: pd.DataFrame) -> dict[str, float]:
    """The columns of one row of the standings, from the `sweep` rows of the selected λ."""
    test = chosen[chosen["split"] == "test"]
    known = {(threat, metric): (mean, width) for threat, metric, mean, width
             in zip(test["threat"], test["metric"], test["mean"].tolist(), test["half_width"].tolist())}
    numbers: dict[str, float] = {}
    wanted = [("clean", "accuracy")] + [
        (threat.id, "robust_accuracy" if threat.epsilon is not None else "relative_distance") for threat in track.threats]
    for name, metric in wanted:
        numbers[name], numbers[f"{name}_half_width"] = known.get((name, metric), (math.nan, math.nan))
    return numbers


def _ranked(track: Track, frame: pd.DataFrame) -> pd.DataFrame:
    frame["rankable"] = frame["why"] == ""
    order = frame["architecture"].map({name: i for i, name in enumerate(track.architectures)})
    frame = frame.assign(order=order).sort_values(["order", "rankable", track.headline], ascending=[True, False, False],
                                                  kind="stable")
    position = frame[frame["rankable"]].groupby("architecture", sort=False)[track.headline].rank(method="min", ascending=False)
    frame["rank"] = position.astype("Int64").reindex(frame.index)
    return frame.drop(columns=["order", "rankable"]).reset_index(drop=True)
