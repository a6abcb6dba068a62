"""The page of verdicts: its judgements on rows whose answer is known, and its numbers those of the
registered rows.
"""

import numpy as np
import pandas as pd
import pytest

from benchmark.ranking.paper_claims import budget, reported
from benchmark.ranking.paper_claims.page import CLAIMS, main, render, verdicts
from benchmark.ranking.paper_claims.rows import Interval, Rows
from benchmark.records import registered, rows
from benchmark.records.outcome import Layer, Outcome, Score
from benchmark.records.store import Store
from registry.load import HERE, Registry

pytestmark = pytest.mark.slow

CLAIM = {claim.judge.__name__: claim.words for claim in CLAIMS}


def judged(store):
    return {verdict.claim: verdict for verdict in verdicts(store)}


def outcomes(name, value, layer=lambda trial: 1.0):
    """Of every trial of a track, with scores of `value(trial, part, metric)` and a little noise."""
    for _, trial in {t.key: (None, t) for _, t in Registry().select([name])}.values():
        rng = np.random.default_rng(trial.seed)  # shared by all methods of a seed, as real ones are
        noise = rng.normal(0, 0.001)
        scores = []
        for part in trial.evaluation:
            metrics = {
                "clean": ("accuracy", "loss"),
                "margins": ("margin", "margin:std"),
                "margin_curvature": ("along_share",),
                "perturbed": ("alignment_1", "relative_deviation_1"),
            }.get(part.name, ("robust_accuracy",))
            scores += [
                Score(
                    threat=part.name,
                    split=part.split,
                    metric=metric,
                    value=value(trial, part, metric) + noise,
                    n=part.examples,
                    examples=part.examples,
                )
                for metric in metrics
            ]
        yield Outcome.of(
            trial,
            status="finished",
            train_seconds=1.0,
            scores=tuple(scores),
            layers=(
                Layer(layer="fc", kind="linear", metric="sigma_std", value=layer(trial) + noise),
            ),
        )


@pytest.mark.parametrize(
    ("shift", "held"), [(0.0, True), (0.01, True), (0.05, False), (-0.05, False)]
)
def test_equal_accuracies_are_equivalent_and_shifted_ones_are_not(tmp_path, shift, held):
    store = Store(tmp_path / "rows.duckdb")
    store.record(
        outcomes(
            "guo-final-layer",
            lambda trial, part, metric: (
                0.7
                + shift * (trial.entry.regularizer == "jacobian") * (part.name == "pgd-inf-0.05")
            ),
        )
    )
    found = judged(store)[next(claim.words for claim in CLAIMS if claim.track == "guo-final-layer")]
    assert (found.verdict.word == "shown") is held
    assert f"largest mean difference {100 * abs(shift):.2f} points" in found.numbers


@pytest.mark.parametrize("sign", [1, -1])
def test_what_shrinks_with_strength_is_told_from_what_grows(tmp_path, sign):
    def value(trial, part, metric):
        shrinking = 1 - sign * trial.entry.strength
        return {
            "loss": 0.3 + shrinking * (part.split == "test"),
            "margin:std": shrinking,
            "margin": 3.0,
        }.get(metric, 0.7)

    store = Store(tmp_path / "rows.duckdb")
    store.record(
        outcomes("wen-fashion", value, layer=lambda trial: 2 - sign * trial.entry.strength)
    )
    found = judged(store)
    for judge in ("margins_concentrate", "gap_shrinks", "spectra_narrow"):
        assert found[CLAIM[judge]].verdict.word == ("shown" if sign == 1 else "refuted")


def test_a_strength_that_learns_nothing_is_left_out(tmp_path):
    strongest = max(trial.entry.strength for _, trial in Registry().select(["wen-fashion"]))

    def value(trial, part, metric):
        lost = trial.entry.strength == strongest
        return {
            "loss": 0.3,
            "margin:std": 0.01 if lost else 1 + trial.entry.strength,
            "margin": 3.0,
            "accuracy": 0.1 if lost else 0.9,
        }.get(metric, 0.7)

    store = Store(tmp_path / "rows.duckdb")
    store.record(outcomes("wen-fashion", value))
    found = judged(store)[CLAIM["margins_concentrate"]]
    assert found.verdict.word == "refuted"  # with the constant model it would seem to hold
    why = "diverges, ends below the clean floor or is flagged, and is left out"
    assert f"(ε = {strongest:.3g} {why})" in found.numbers


@pytest.mark.parametrize("how", ["diverged", "flagged"])
def test_a_strength_at_which_one_seed_is_lost_or_flagged_is_left_out(tmp_path, how):
    strongest = max(trial.entry.strength for _, trial in Registry().select(["wen-fashion"]))

    def value(trial, part, metric):
        narrow = trial.entry.strength == strongest
        of = {"loss": 0.3, "margin:std": 0.01 if narrow else 1.0, "margin": 3.0, "accuracy": 0.9}
        return of.get(metric, 0.7)

    def lost(outcome):
        if (outcome.strength, outcome.seed) != (strongest, 1):
            return outcome
        if how == "diverged":
            return outcome.model_copy(update={"status": "diverged", "scores": ()})
        flagged = outcome.scores[0].model_copy(update={"flags": ("randomised",)})
        return outcome.model_copy(update={"scores": (flagged, *outcome.scores[1:])})

    store, words = Store(tmp_path / "rows.duckdb"), CLAIM["margins_concentrate"]
    store.record(map(lost, outcomes("wen-fashion", value)))
    assert f"(ε = {strongest:.3g} diverges" in judged(store)[words].numbers
    whole = Store(tmp_path / "whole.duckdb")
    whole.record(outcomes("wen-fashion", value))
    assert judged(whole)[words].verdict.word == "shown"
    assert judged(store)[words].verdict.word != "shown"


@pytest.mark.parametrize("true", [True, False])
def test_every_other_claim_is_judged_by_the_methods_that_it_names(tmp_path, true):
    ahead = {
        "curvature": 0.1,
        "cross_hoelder": 0.1,
        "adversarial_training": 0.1,
        "data_dependent_operator_norm": 0.1,
    }
    behind = {"cross_lipschitz": 0.1, "global_spectral_norm": 0.1, "adversarial_training": 0.1}

    def value(trial, part, metric):
        if part.name == "clean":
            return 0.97
        if metric == "along_share":
            return 0.4 if true else 1.0
        method, strength = trial.entry.regularizer.split(":")[0], trial.entry.strength
        inner = 0.001 * (strength == {"cross_hoelder": 0.05, "cross_lipschitz": 0.5}.get(method))
        return 0.5 + (ahead if true else behind).get(method, 0.0) + inner

    store = Store(tmp_path / "rows.duckdb")
    for name in ("guo-fashion-binary", "guo-fashion", "cross-hoelder-fashion", "roth-fashion"):
        store.record(outcomes(name, value))
    found = judged(store)
    for judge in (
        "curvature_at_large_lambda",
        "hoelder_over_lipschitz",
        "gradient_underestimates",
        "operator_norm_like_adversarial_training",
        "many_classes_agree",
    ):
        assert (found[CLAIM[judge]].verdict.word == "shown") is true, found[CLAIM[judge]]


def test_operator_norms_are_compared_at_equal_clean_accuracy_or_not_at_all(tmp_path):
    """The global spectral norm is as robust as adversarial training where it costs as much; at
    each λ of its own grid it costs more or less.
    """

    def value(trial, part, metric, cost=0.4):
        method, strength = trial.entry.regularizer.split(":")[0], min(0.1, trial.entry.strength)
        costs = {"adversarial_training": 0.02, "global_spectral_norm": cost * strength}
        paid = costs.get(method, 0.0)
        if method == "data_dependent_operator_norm":
            paid = 0.4 * strength
        if part.name == "clean":
            return 0.95 - paid
        far = method == "data_dependent_operator_norm"
        return 0.3 + 10 * paid - 0.1 * far

    words = CLAIM["operator_norm_like_adversarial_training"]
    store = Store(tmp_path / "rows.duckdb")
    store.record(outcomes("roth-fashion", value))
    found = judged(store)[words]
    assert found.verdict.word == "refuted"
    assert "global_spectral_norm λ = 0.03 to 0.1" in found.numbers
    assert "operator norm -0.100 ± 0.000, global spectral norm" in found.numbers
    out_of_reach = Store(tmp_path / "others.duckdb")
    out_of_reach.record(outcomes("roth-fashion", lambda *asked: value(*asked, cost=0.1)))
    found = judged(out_of_reach)[words]
    assert found.verdict.word == "not decided"
    grid = [
        entry.strength
        for entry in Registry().entries("roth-fashion")
        if entry.regularizer == "global_spectral_norm"
    ]
    ends = f"global_spectral_norm from {0.95 - 0.1 * min(grid):.3f} down to 0.940"
    assert ends in found.numbers


def test_curvature_is_judged_at_the_largest_lambda_at_which_it_learns(tmp_path):
    def value(trial, part, metric):
        curvature, strength = trial.entry.regularizer == "curvature", trial.entry.strength
        if part.name == "clean":
            return 0.5 if curvature and strength > 1 else 0.97
        return 0.9 if curvature and strength < 1 else 0.6

    store = Store(tmp_path / "rows.duckdb")
    store.record(outcomes("guo-fashion-binary", value))
    found = judged(store)[CLAIM["curvature_at_large_lambda"]]
    assert found.verdict.word == "shown"
    left_out = "(λ = 1.6 diverges, ends below the clean floor or is flagged, and is left out)"
    assert f"at λ = 0.8 {left_out} curvature leads" in found.numbers


def test_no_rows_are_no_verdict(tmp_path):
    found = verdicts(Store(tmp_path / "none.duckdb"))
    assert {verdict.verdict.word for verdict in found} == {"not run"}


def test_an_interval_is_students():
    interval = Interval.of(pd.Series([1.0, 2.0, 3.0]))
    assert interval.mean == 2
    assert interval.half == pytest.approx(4.302653 / 3**0.5, rel=1e-6)  # t(0.975, 2) from a table


def test_every_track_of_a_claim_has_the_entries_that_it_is_about(tmp_path):
    for claim in CLAIMS:
        assert Rows(Registry().track(claim.track), Store(tmp_path / "none.duckdb")).trials


def test_every_number_on_the_page_is_that_of_the_registered_rows(tmp_path, monkeypatch):
    monkeypatch.delenv("REGBENCH_RESULTS")  # the repository's own, those of submissions as well
    database = registered.database(tmp_path)
    page = HERE / "results" / "README.md"
    assert (database is not None) == page.exists(), "run `python -m benchmark.ranking.paper_claims`"
    if database is not None:
        assert page.read_text() == render(Store(database))


def test_the_board_on_the_page_has_the_worst_cases_of_the_rows_images(tmp_path, monkeypatch):
    monkeypatch.setenv("REGBENCH_RESULTS", str(HERE / "results"))
    registry, store = Registry(), Store(registered.database(tmp_path))
    page = (HERE / "results" / "README.md").read_text()
    table = page.partition("### lenet_300_100")[2].partition("\n\n|")[2].partition("\n\n")[0]
    head, _, *lines = [line.strip("| ").split(" | ") for line in table.splitlines()]
    shown = {line[head.index("Method")]: line for line in lines}
    seeds = int(page.partition("### lenet_300_100\n\n")[2].partition(" of ")[0])
    ours = [t for _, t in registry.select([budget.TRACK], seeds) if t.entry.regularizer == "none"]
    keys = {t.key for t in ours if t.entry.architecture == "lenet_300_100"}
    images = store.examples(keys, "correct")
    ball = images["threat"].str.fullmatch(r"(fgsm|pgd|apgd|union|transfer)-inf-0\.1(-.*)?")
    every = images[ball.astype(bool)]
    stands = [np.min(list(mine["values"]), axis=0) for _, mine in every.groupby("key")]
    worst = shown["none"][head.index("Worst case")]
    assert worst.split(" ")[0] == f"{100 * np.mean(stands):.1f}"


def test_the_leader_is_named_with_those_that_cannot_be_told_apart_and_what_is_not_ranked():
    track = Registry().track("open-fashion")
    like = {"architecture": "lenet_5", "seeds": 3, "lambda": 0.1, "at_end": "", "clean": 0.9}
    like |= {"cost": 2.0, "tier": "quick", "certified": np.nan, "worst_low": 0.4, "worst_high": 0.6}
    like |= {"certified_low": np.nan, "certified_high": np.nan, "worst": 0.5, "why": ""}
    like |= {"certified_images": 200, "worst_images": 1000}
    like |= {"flags": "", "lambdas": (0.1, 0.1, 0.1)}
    rows = [
        like | {"regularizer": "jacobian", "rank": 1, "rank_high": 2},
        like
        | {"regularizer": "curvature", "rank": 1, "rank_high": 2, "at_end": "largest"}
        | {"lambdas": (0.1, 0.05, 0.1)},
        like
        | {"regularizer": "mine", "rank": pd.NA, "rank_high": pd.NA, "worst": 0.9}
        | {"flags": "randomised", "why": "flagged: so"},
    ]
    text = budget.section(track, pd.DataFrame(rows))
    best = "**jacobian** has the best mean, 50.0 [40.0, 60.0], and is significantly better than 0"
    assert (
        f"{best} of the 1 others.\n"
        "- No method is significantly better than any of these either: curvature.\n"
    ) in text
    assert text.endswith("\n\n- Not ranked: `mine`: flagged: so.\n")
    assert "| Rank | Method | λ | Clean | Worst case | Cost × | Tier |" in text
    assert (
        "| 1–2 | curvature | 0.1 ↑ (0.05 in 1 of 3) | 90.0 | 50.0 [40.0, 60.0] | 2.0 | quick |"
        in text
    )
    assert "robust as one of these: jacobian (2.0 ×), curvature (2.0 ×)." in text
    beaten = [rows[0] | {"cost": 1.5, "worst": 0.54, "clean": 0.89}, rows[1] | {"worst": 0.58}]
    told = budget.section(track, pd.DataFrame([*beaten, rows[2]]))
    assert "robust as one of these: curvature (2.0 ×).\n- Of those within 5 points" in told
    assert "the best worst case the cheapest is jacobian (1.5 ×)." in told
    variants = [rows[0], rows[1] | {"regularizer": "jacobian:projections=1"}]
    assert "| jacobian:projections=1 |" in budget.section(track, pd.DataFrame(variants))
    nobody = [row | {"rank": pd.NA, "rank_high": pd.NA, "why": "preliminary"} for row in rows]
    assert "No method has a rank yet: preliminary." in budget.section(track, pd.DataFrame(nobody))


def test_a_paper_s_number_stands_beside_the_mean_of_ours(tmp_path):
    track = Registry().track("guo-binary-mnist")
    store = Store(tmp_path / "rows.duckdb")
    store.record(outcomes("guo-binary-mnist", lambda *_: 0.75))
    text = reported.section([Rows(track, store)])
    found = store.query(
        "SELECT avg(value) AS mean, count(*) AS seeds FROM score JOIN trial ON key = trial_key "
        "WHERE threat = 'clean' AND metric = 'accuracy' AND split = 'test' "
        "AND regularizer = 'none' AND architecture = 'lenet_5' "
        "AND json_extract(spec, '$.recipe.fine_tune_iterations') > 0"
    )
    (line,) = (line for line in text.splitlines() if "| lenet_5 | `none` | clean |" in line)
    assert line.split(" | ")[4] == "99.86 ± 0.03"
    assert line.split(" | ")[5].startswith(f"{100 * found['mean'].iloc[0]:.2f} ± ")
    assert line.endswith(f"| {found['seeds'].iloc[0]} |")
    assert reported.section([]) == ""


def test_the_page_is_written_beside_the_rows(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("REGBENCH_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("REGBENCH_HOME", str(tmp_path / "home"))
    with pytest.raises(SystemExit, match="`regbench export` writes them"):
        main()
    (tmp_path / "results").mkdir()
    found = []
    for row in outcomes("guo-final-layer", lambda *_: 0.7):
        scores = [s.model_copy(update={"value": round(s.value * s.n) / s.n}) for s in row.scores]
        found.append(row.model_copy(update={"scores": tuple(scores)}))
    rows.write(tmp_path / "results" / "guo-final-layer.jsonl", found)
    main()
    page = (tmp_path / "results" / "README.md").read_text()
    assert page.count("| shown |") == 1
    assert page.count("| not run |") == len(CLAIMS) - 1
