"""Ranks as intervals, and worst cases."""

import numpy as np
import pandas as pd
import pytest

from benchmark.ranking.board import _means, board, of_headline, with_ranks
from benchmark.ranking.both_sides import (
    certified_at_headline,
    ranking_tiers,
    with_certificates,
    with_gap,
    with_worst_case,
    worst_case,
    worst_cases,
)
from benchmark.ranking.selection import selected_trials
from benchmark.ranking.standings import standings
from benchmark.records import open_store
from registry.load import HERE, Registry

TRACK = Registry().track("quickstart")
TRIALS = [trial for _, trial in Registry().select(["quickstart"])]
METHODS = list(dict.fromkeys(trial.entry.regularizer for trial in TRIALS))


def rows(level, examples=True):
    """Scores and per-example values in which a method withstands the first `level` of the images,
    for every λ and seed.
    """
    scores, values = [], []
    for trial in {trial.key: trial for trial in TRIALS}.values():
        correct = np.arange(360) < round(360 * level[trial.entry.regularizer])
        for part in trial.evaluation:
            metric = {
                "clean": "accuracy",
                "deepfool-2": "relative_distance",
                "measures": "margin",
                "honesty": "randomised",
            }
            number = {"clean": 0.99, "deepfool-2": 0.1, "measures": 1.0, "honesty": 0.0}.get(
                part.name, correct.mean()
            )
            scores.append(
                {
                    "key": trial.key,
                    "seconds_alone": 1.0,
                    "trained_on": "a processor",
                    "registered_seconds": None,
                    "registered_on": None,
                    "status": "finished",
                    "threat": part.name,
                    "split": part.split,
                    "metric": metric.get(part.name, "robust_accuracy"),
                    "examples": part.examples,
                    "n": part.examples,
                    "flags": [],
                    "value": number,
                }
            )
        values.append(
            {"key": trial.key, "threat": TRACK.headline, "examples": 360, "values": correct}
        )
    return pd.DataFrame(scores), pd.DataFrame(
        values if examples else [], columns=["key", "threat", "examples", "values"]
    )


def ranked(scores, examples):
    table = standings(TRACK, TRIALS, scores)
    groups = selected_trials(TRIALS, table)
    return with_ranks(groups, table, of_headline(TRACK, examples), _means(TRACK, scores))


@pytest.mark.parametrize("examples", [True, False])
def test_methods_that_cannot_be_told_apart_share_a_rank(examples):
    level = dict(zip(METHODS, (0.2, 0.2, 0.4, 0.805, 0.8, 0.6)))
    scores, values = rows(level, examples)
    table = ranked(scores, values)
    found = {
        row["regularizer"]: (row["rank"], row["rank_high"]) for row in table.to_dict("records")
    }
    if examples:  # two images of 360 more are not told apart
        assert found == {
            METHODS[3]: (1, 2),
            METHODS[4]: (1, 2),
            METHODS[5]: (3, 3),
            METHODS[2]: (4, 4),
            METHODS[0]: (5, 6),
            METHODS[1]: (5, 6),
        }
    else:  # all that is known are the seeds' means, and they agree
        assert found[METHODS[3]] == (1, 1)
        assert found[METHODS[0]] == found[METHODS[1]] == (5, 6)


def test_a_higher_mean_never_has_the_worse_rank():
    scores, values = rows(dict.fromkeys(METHODS, 0.5))
    seeds = {
        METHODS[0]: (0.9, 0.9, 0.9),
        METHODS[1]: (0.6, 0.6, 0.6),
        METHODS[2]: (0.1, 0.9, 0.65),
    }  # the last: anywhere
    for trial in TRIALS:
        level = seeds.get(trial.entry.regularizer, (0.3, 0.3, 0.3))[trial.seed]
        mine = (scores["key"] == trial.key) & (scores["metric"] == "robust_accuracy")
        scores.loc[mine, "value"] = level
        values.loc[values["key"] == trial.key, "values"] = values.loc[
            values["key"] == trial.key, "values"
        ].map(lambda correct, level=level: np.arange(360) % 100 < 100 * level)
    table = ranked(scores, values)
    found = {
        row["regularizer"]: (row["rank"], row["rank_high"]) for row in table.to_dict("records")
    }
    assert found[METHODS[0]] == (1, 2)
    assert (
        found[METHODS[1]][0] == 1
    )  # told to be worse than the first, but the scattered one below it may be the first
    assert table["rank"].is_monotonic_increasing
    # That one scatters leaves its own rank open, and nobody else's.
    assert found[METHODS[2]][1] == len(METHODS)
    assert found[METHODS[1]][1] == 3


def test_an_unranked_method_has_no_interval_and_counts_in_none():
    scores, values = rows(dict.fromkeys(METHODS, 0.5))
    missing = {trial.key for trial in TRIALS if trial.entry.regularizer == "curvature"}
    scores = scores[~scores["key"].isin(missing)]
    table = ranked(scores, values).set_index("regularizer")
    assert table.loc["curvature", ["rank", "rank_high"]].isna().all()
    others = table.drop("curvature")
    assert (others["rank"] == 1).all()
    assert (others["rank_high"] == len(METHODS) - 1).all()


def test_before_anything_has_run_nothing_is_ranked():
    empty = pd.DataFrame()
    table = ranked(empty, empty)
    assert table["rank_high"].isna().all()


def test_a_worst_case_is_under_the_union_of_all_attacks_on_the_images_that_all_have():
    rng = np.random.default_rng(0)
    correct = {
        "fgsm": rng.random(50) < 0.7,
        "pgd": rng.random(40) < 0.5,
        "apgd": rng.random(60) < 0.5,
    }
    union = [all(values[i] for values in correct.values()) for i in range(40)]
    assert worst_case(correct).tolist() == union
    with pytest.raises(ValueError, match="at least one attack"):
        worst_case({})


def test_a_row_below_the_tier_that_ranks_has_no_worst_case():
    table = pd.DataFrame(
        {
            "architecture": ["a", "a", "b"],
            "regularizer": ["none", "jacobian", "none"],
            "tier": ["verified", "quick", "quick"],
            "tried": [1, 3, 1],
        }
    )
    groups = [[TRIALS[0]], [TRIALS[1]], [TRIALS[2]]]
    worst = {trial.key: np.array([1.0, 1.0, 0.0, 1.0]) for trial in TRIALS[:3]}
    found = with_worst_case(groups, table, worst, ["verified", "verified", "quick"])
    assert found["worst"].fillna(-1).tolist() == [0.75, -1, 0.75]


@pytest.mark.parametrize(
    ("tiers", "ranks"),
    [
        (["verified", "quick", "quick", "quick", "quick"], "quick"),
        (["verified", "standard", "quick", "verified", "verified"], "standard"),
        (["quick", "verified", "verified", "verified", "verified"], "verified"),
        (["", "verified", "verified", "verified", ""], "verified"),
        (["verified", "quick"], "quick"),
        (["", ""], "quick"),
    ],
)
def test_a_tier_ranks_once_most_methods_have_it(tiers, ranks):
    table = pd.DataFrame({"architecture": ["a"] * len(tiers), "tier": tiers})
    other = pd.DataFrame({"architecture": ["b"], "tier": ["verified"]})
    together = pd.concat([table, other], ignore_index=True)
    assert ranking_tiers(together) == [ranks] * len(tiers) + ["verified"]


def test_while_a_further_tier_runs_its_attacks_break_nothing_yet():
    (union,) = TRACK.tier_parts("verified", 360)
    columns = ["key", "threat", "examples", "values"]
    stood = [(trial.key, TRACK.headline, 360, np.ones(360)) for trial in TRIALS[:2]]
    broken = [(TRIALS[0].key, union.name, 360, np.zeros(360))]
    examples = pd.DataFrame([*stood, *broken], columns=columns)
    groups = [[TRIALS[0]], [TRIALS[1]]]
    quick = worst_cases(TRACK, groups, examples, ["quick", "quick"])
    assert [quick[trial.key].mean() for trial in TRIALS[:2]] == [1, 1]
    verified = worst_cases(TRACK, groups, examples, ["verified", "verified"])
    assert [verified[trial.key].mean() for trial in TRIALS[:2]] == [0, 1]


@pytest.fixture(scope="module")
def registered_store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGBENCH_RESULTS", str(HERE / "results"))
        yield open_store(tmp_path_factory.mktemp("home"))


@pytest.mark.parametrize("name", Registry().track_names)
def test_no_interval_of_any_track_leaves_0_to_100_percent_or_its_mean(name, registered_store):
    track = Registry().track(name)
    trials = [trial for _, trial in Registry().select([name])]
    table = board(track, trials, registered_store)
    columns = ["clean", "worst", *(threat.id for threat in track.threats)]
    shown = 0
    for column in columns:
        known = table[table[f"{column}_low"].notna()]
        mean, low, high = (known[column + end] for end in ("", "_low", "_high"))
        assert (low >= 0).all() and (low <= mean).all()
        assert (mean <= high).all() and (high <= 1).all()
        shown += len(known)
    assert shown or not (table["why"] == "").any()


def certificates(share):
    """Per-example values of "certified" at the headline's ε and at half of it."""
    proven = {"certified-inf-0.1": share, "certified-inf-0.05": 1.0}
    return pd.DataFrame(
        [
            {"key": key, "threat": threat, "examples": 200, "values": np.arange(200) < 200 * level}
            for key in {trial.key for trial in TRIALS if trial.entry.regularizer != "curvature"}
            for threat, level in proven.items()
        ]
    )


def test_what_is_certified_is_a_mean_over_seeds_at_the_headlines_radius():
    table = standings(TRACK, TRIALS, rows(dict.fromkeys(METHODS, 0.5))[0])
    groups, known = selected_trials(TRIALS, table), certified_at_headline(TRACK, certificates(0.3))
    found = with_certificates(groups, table, known)
    found = found.set_index("regularizer")
    assert found.loc["jacobian", "certified"] == pytest.approx(0.3)
    assert found.loc["jacobian", "certified_low"] < 0.3 < found.loc["jacobian", "certified_high"]
    assert np.isnan(found.loc["curvature", "certified"])
    assert found.loc["jacobian", "certified_images"] == 200
    assert np.isnan(found.loc["curvature", "certified_images"])


def test_the_gap_is_what_other_attacks_break_of_the_images_that_the_headline_leaves():
    table = standings(TRACK, TRIALS, rows(dict.fromkeys(METHODS, 0.5))[0]).assign(worst=0.4)
    groups = selected_trials(TRIALS, table)
    keys = {trial.key for trial in TRIALS}
    headline = dict.fromkeys(keys, (np.arange(100) < 50).astype(float))
    worst = dict.fromkeys(keys, (np.arange(80) < 42).astype(float))
    assert with_gap(groups, table, worst, headline)["gap"].tolist() == pytest.approx([0.1] * 6)
