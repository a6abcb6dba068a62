"""The ranking rule on tables small enough to work out by hand."""

import pandas as pd
import pytest

from benchmark.ranking.selection import Choice, beyond, choose, seeds_ranked
from benchmark.ranking.standings import standings
from benchmark.ranking.sweep import labelled
from registry.load import Registry
from registry.spec import Part

TRACK = Registry().track("quickstart")
TRIALS = [trial for _, trial in Registry().select(["quickstart"])]


def scores(value, trials=TRIALS, diverged=frozenset()):
    """Score rows as the store gives them; `value(entry, seed, part name, split)` decides each."""
    rows = []
    for trial in {trial.key: trial for trial in trials}.values():
        seconds = 1.0 if trial.plugin is None else 3.0
        common = {"key": trial.key, "seconds_alone": seconds, "trained_on": "a processor"}
        common |= {"registered_seconds": None, "registered_on": None}
        if trial.key in diverged:
            rows.append(common | {"status": "diverged"})
            continue
        for part in trial.evaluation:
            metric = {
                "clean": "accuracy",
                "deepfool-2": "relative_distance",
                "measures": "margin",
                "honesty": "randomised",
            }.get(part.name, "robust_accuracy")
            number = (
                0.0
                if part.name in ("measures", "honesty")
                else value(trial.entry, trial.seed, part.name, part.split)
            )
            rows.append(
                common
                | {
                    "status": "finished",
                    "threat": part.name,
                    "split": part.split,
                    "metric": metric,
                    "examples": part.examples,
                    "n": part.examples,
                    "flags": [],
                    "value": number,
                }
            )
    return pd.DataFrame(rows)


def flat(entry, seed, name, split):
    return 0.95 if name == "clean" else 0.5


def row(table, regularizer):
    return table[table["regularizer"] == regularizer].iloc[0]


def test_lambda_is_chosen_on_validation_and_never_on_test():
    def value(entry, seed, name, split):
        if name == "clean":
            return 0.95
        best = {"validation": 0.1, "test": 0.4}[split]  # test says another λ
        return 0.9 if entry.strength == best else 0.2

    table = standings(TRACK, TRIALS, scores(value))
    assert row(table, "jacobian")["lambda"] == 0.1
    assert row(table, "jacobian")["pgd-inf-0.1"] == pytest.approx(0.2)


def test_a_lambda_below_the_clean_floor_is_not_chosen():
    def value(entry, seed, name, split):
        if name == "clean":
            return 0.89 if entry.strength == 0.4 else 0.91
        return entry.strength

    assert row(standings(TRACK, TRIALS, scores(value)), "jacobian")["lambda"] == 0.1


def test_a_method_without_an_allowed_lambda_is_listed_unranked_with_the_reason():
    def value(entry, seed, name, split):
        return 0.5 if entry.regularizer == "jacobian" else flat(entry, seed, name, split)

    found = row(standings(TRACK, TRIALS, scores(value)), "jacobian")
    assert "clean floor of 90%" in found["why"]


def test_a_lambda_at_which_a_seed_diverged_is_not_chosen():
    best = {
        trial.key
        for trial in TRIALS
        if trial.entry.regularizer == "jacobian" and trial.entry.strength == 0.4 and trial.seed == 1
    }

    def value(entry, seed, name, split):
        return 0.95 if name == "clean" else entry.strength

    found = row(standings(TRACK, TRIALS, scores(value, diverged=best)), "jacobian")
    assert found["lambda"] == 0.1
    assert (found["diverged"], found["trials"]) == (1, 9)


def test_a_method_cannot_lead_by_the_seeds_that_survive():
    """Its survivors are far better than all others at every λ, and at every λ one diverges."""
    lost = {
        trial.key
        for trial in TRIALS
        if trial.entry.regularizer == "jacobian"
        and trial.seed == {0.01: 0, 0.1: 1, 0.4: 2}[trial.entry.strength]
    }

    def value(entry, seed, name, split):
        return 0.95 if name == "clean" or entry.regularizer == "jacobian" else 0.3

    table = standings(TRACK, TRIALS, scores(value, diverged=lost))
    found = row(table, "jacobian")
    assert (found["diverged"], found["trials"]) == (3, 9)
    assert "3 trials diverged" in found["why"]
    assert pd.isna(found["pgd-inf-0.1"])
    assert table["regularizer"].iloc[-1] == "jacobian"


def test_a_method_that_has_not_run_in_full_is_unranked():
    partial = [
        t
        for t in TRIALS
        if not (t.entry.regularizer == "curvature" and t.entry.strength == 0.4 and t.seed == 2)
    ]
    found = row(standings(TRACK, TRIALS, scores(flat, partial)), "curvature")
    assert found["why"] == "incomplete: 1 of 9 trials have not run in full"


def test_no_lambda_is_chosen_among_those_alone_that_have_validation_scores():
    """As where a run that adds the part by which λ is chosen was killed after a few trials."""
    table = scores(flat)
    lacking = {t.key for t in TRIALS if t.entry.regularizer == "curvature" and t.seed == 1}
    added = table["key"].isin(lacking) & (table["split"] == "validation")
    added &= table["threat"] == TRACK.headline
    found = standings(TRACK, TRIALS, table[~added])
    assert row(found, "curvature")["why"] == "incomplete: 3 of 9 trials have not run in full"
    assert pd.isna(row(found, "curvature")["lambda"])
    assert row(found, "jacobian")["why"] == ""


def test_before_any_seed_is_complete_the_first_is_counted():
    begun = {t.entry.regularizer: t for t in TRIALS if t.seed == 0}["jacobian"]
    found = row(standings(TRACK, TRIALS, scores(flat, [begun])), "jacobian")
    assert (found["seeds"], found["trials"]) == (0, 1)
    assert found["why"] == "incomplete: 2 of 3 trials have not run in full"


def test_a_tiers_larger_sample_of_a_threat_of_the_tracks_own_is_no_further_seed():
    own = TRACK.threats[0]
    part = next(p for p in TRACK.evaluation if p.name == own.id and p.split == "test")
    larger = Part(name=own.id, split="test", examples=5 * part.examples, threat=own)
    table = scores(lambda entry, seed, name, split: 0.95 if name == "clean" else 0.5 + 0.1 * seed)
    mine = (table["threat"] == own.id) & (table["split"] == "test")
    more = table[mine].assign(examples=larger.examples, n=larger.examples, value=0.1)
    trials = [t.also((larger,)) for t in TRIALS]
    before = standings(TRACK, trials, table)
    after = standings(TRACK, trials, pd.concat([table, more]))
    columns = [own.id, f"{own.id}_low", f"{own.id}_high"]
    assert before[own.id].notna().all()
    pd.testing.assert_frame_equal(after[columns], before[columns])


def test_the_standings_rest_on_the_seeds_that_have_run_and_two_are_too_few_for_a_rank():
    table = standings(TRACK, TRIALS, scores(flat, [t for t in TRIALS if t.seed < 2]))
    assert set(table["seeds"]) == {2}
    assert set(table["why"]) == {"preliminary: 2 of the 3 seeds that a rank takes"}


def test_a_further_seed_counts_once_most_methods_have_it():
    def table(ahead):
        done = [t for t in TRIALS if t.seed < 2 + (t.entry.regularizer in ahead)]
        return standings(TRACK, TRIALS, scores(flat, done))

    ahead = {"none", "weight_decay", "jacobian", "curvature"}
    few = table(ahead)
    assert set(few["seeds"]) == {2}
    most = table(ahead | {"input_gradient"})
    assert set(most["seeds"]) == {3}
    assert (most["why"] == "").tolist() == [True] * 5 + [False]


def test_seeds_are_counted_on_each_network_by_its_registered_methods():
    track = Registry().track("guo-fashion-binary")
    trials = [trial for _, trial in Registry().select([track.name], 3)]
    first, second = track.architectures[:2]
    done = [t for t in trials if t.seed < (3 if t.entry.architecture == first else 1)]
    found = seeds_ranked(trials, labelled(trials, scores(flat, done)))
    assert (found[first], found[second]) == (3, 1)
    # A submission's third seed is missing, or alone has run: it decides only where it is alone.
    behind = [t for t in done if not (t.entry.regularizer == "curvature" and t.seed == 2)]
    submitted = [
        t.model_copy(update={"sandboxed": True}) if t.entry.regularizer != "none" else t
        for t in trials
    ]
    assert seeds_ranked(submitted, labelled(trials, scores(flat, behind)))[first] == 3
    alone = [t for t in submitted if t.entry.regularizer == "curvature"]
    assert seeds_ranked(alone, labelled(trials, scores(flat, behind)))[first] == 2


def test_methods_are_ordered_by_the_headline_and_equals_as_the_track_has_them():
    level = {
        "none": 0.1,
        "weight_decay": 0.1,
        "input_gradient": 0.3,
        "jacobian": 0.5,
        "cross_lipschitz": 0.5,
        "curvature": 0.2,
    }

    def value(entry, seed, name, split):
        return 0.95 if name == "clean" else level[entry.regularizer]

    table = standings(TRACK, TRIALS, scores(value))
    asked = list(dict.fromkeys(trial.entry.regularizer for trial in TRIALS))
    assert table["regularizer"].tolist() == sorted(asked, key=lambda name: -level[name])


def test_each_seed_is_scored_at_the_lambda_that_the_others_choose():
    def value(entry, seed, name, split):
        if name == "clean":
            return 0.95
        # Of each λ one seed is far better than the others: by itself it would choose that λ.
        lucky = {0.01: 0, 0.1: 1, 0.4: 2}.get(entry.strength) == seed
        return {0.01: 0.30, 0.1: 0.31, 0.4: 0.32}.get(entry.strength, 0.1) + 0.2 * lucky

    found = row(standings(TRACK, TRIALS, scores(value)), "jacobian")
    assert found["lambda"] == 0.4
    assert found["lambdas"] == (0.4, 0.4, 0.1)
    assert found["pgd-inf-0.1"] == pytest.approx((0.32 + 0.32 + 0.31) / 3)


def test_a_lambda_that_ends_its_grid_is_marked():
    def value(entry, seed, name, split):
        best = {"jacobian": 0.4, "cross_lipschitz": 0.1, "curvature": 0.01}
        if name == "clean":
            return 0.95
        return 0.6 if best.get(entry.regularizer) == entry.strength else 0.5

    table = standings(TRACK, TRIALS, scores(value))
    ends = {name: row(table, name)["at_end"] for name in ("jacobian", "cross_lipschitz", "none")}
    assert ends == {"jacobian": "largest", "cross_lipschitz": "", "none": ""}
    assert row(table, "curvature")["at_end"] == "smallest"
    assert row(table, "jacobian")["next_lambda"] == 1.6  # as 0.1 → 0.4
    assert row(table, "curvature")["next_lambda"] == 0.001
    assert pd.isna(row(table, "cross_lipschitz")["next_lambda"])


@pytest.mark.parametrize(
    ("grid", "end", "expected"),
    [
        ([1e-3, 1e-2, 0.1], "largest", 1.0),
        ([0.8, 1.6], "largest", 3.2),
        ([0.12, 0.24, 0.5], "largest", 1.0),  # two digits are enough
        ([0.01, 0.1, 0.4], "smallest", 0.001),
        ([0.0, 0.1], "smallest", None),
        ([0.0, 0.1], "largest", 0.2),
    ],
)
def test_the_next_lambda_continues_the_grid(grid, end, expected):
    assert beyond(grid, end) == expected


def test_cost_is_relative_to_the_control():
    assert row(standings(TRACK, TRIALS, scores(flat)), "jacobian")["cost"] == pytest.approx(3.0)


def test_scores_on_another_number_of_examples_are_not_taken():
    table = scores(flat)
    other = table.assign(examples=table["examples"] + 1, value=0.0)
    both = pd.concat([table, other])
    assert standings(TRACK, TRIALS, both).equals(standings(TRACK, TRIALS, table))


def test_without_any_result_every_method_is_listed():
    table = standings(TRACK, TRIALS, pd.DataFrame())
    assert len(table) == 6
    assert (table["why"] != "").all()


def test_the_order_of_the_rows_changes_nothing():
    table = scores(
        lambda entry, seed, name, split: (
            0.95 if name == "clean" else 0.3 + entry.strength / 7 + seed / 50
        )
    )
    shuffled = table.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(
        standings(TRACK, TRIALS, shuffled), standings(TRACK, TRIALS, table)
    )


def test_of_equally_good_lambdas_the_smallest_is_chosen():
    everything = labelled(TRIALS, scores(flat))
    jacobian = everything[everything["regularizer"] == "jacobian"]
    assert choose(TRACK, jacobian, 3) == Choice(0.01, (0.01,) * 3)
    assert seeds_ranked(TRIALS, everything) == {"lenet_300_100": 3}
