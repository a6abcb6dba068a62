"""Groups: what may train together does, each after its reference, and ends as it would alone."""

import pytest
import torch
from safetensors.torch import load_file

from benchmark.evaluation import parts as evaluation_parts
from benchmark.execution.schedule import Schedule
from benchmark.records.home import TrialFolder
from benchmark.records.outcome import Outcome
from benchmark.trials import group
from benchmark.trials import run as trial
from registry.load import Registry
from registry.spec import Part, Threat

REGISTRY = Registry()


def short(selectors, seeds=2):
    """Trials of a few steps, judged by clean accuracy alone."""
    for _, each in REGISTRY.select(selectors, seeds):
        recipe = each.recipe.model_copy(
            update={
                "reference_epochs": 0,
                "reference_iterations": 20,
                "fine_tune_epochs": 0,
                "fine_tune_iterations": 20,
            }
        )
        yield each.model_copy(
            update={
                "recipe": recipe,
                "evaluation": (Part(name="clean", split="test", examples=50),),
            }
        )


def with_references(trials):
    trials = list(trials)
    references = {each.reference.key: each.reference for each in trials}
    return [*references.values(), *trials]


def over(each, status="finished"):
    return Outcome.of(each, status=status)


def test_trials_that_differ_in_lambda_and_seed_only_are_taken_together_after_their_references():
    trials = with_references(
        short(["digits/lenet_300_100/jacobian/*", "digits/lenet_300_100/cross_lipschitz/0.1"])
    )
    references, fine_tunes = trials[:2], trials[2:]
    schedule = Schedule(trials)
    assert schedule.take(80) == references
    assert schedule.take(80) == []
    schedule.settle(over(references[0]))
    assert {each.seed for each in schedule.take(80)} == {references[0].seed}
    schedule.settle(over(references[1]))
    groups = []
    while taken := schedule.take(3):
        groups.append(taken)
    assert all(len({each.entry.regularizer for each in taken}) == 1 for taken in groups)
    assert sorted(map(len, groups)) == [2, 3]
    assert len(schedule) == len(fine_tunes)


def test_what_waits_for_a_reference_that_failed_fails_and_what_waits_for_one_that_diverged_runs():
    trials = with_references(short(["digits/lenet_300_100/jacobian/0.1"]))
    schedule = Schedule(trials)
    failed, diverged = schedule.take(2)
    schedule.settle(over(failed, "failed"))
    schedule.settle(over(diverged, "diverged"))
    assert [(o.status, o.seed, o.error) for o in schedule.orphans()] == [
        ("failed", failed.seed, "its reference failed")
    ]
    assert [each.seed for each in schedule.take(2)] == [diverged.seed]


def test_a_group_that_broke_is_taken_up_again_one_by_one():
    trials = list(short(["digits/lenet_300_100/jacobian/*"]))
    schedule = Schedule(trials)
    taken = schedule.take(80)
    assert len(taken) == len(trials)
    schedule.put_back(taken)
    assert [len(schedule.take(80)) for _ in taken] == [1] * len(trials)


def test_what_waits_for_a_reference_begins_once_that_is_trained_and_is_evaluated_later():
    reference, fine_tune = with_references(short(["digits/lenet_300_100/jacobian/0.1"], 1))
    schedule = Schedule([reference, fine_tune])
    assert schedule.take(80) == [reference]
    assert schedule.take_trained() == []
    schedule.await_evaluation(reference)
    assert schedule.take(80) == [fine_tune]
    assert schedule.take_trained() == [reference]
    assert schedule.take_trained() == []
    schedule.settle(over(reference))
    schedule.await_evaluation(fine_tune)
    assert schedule.take_trained() == [fine_tune]
    assert len(schedule) == 1
    schedule.settle(over(fine_tune))
    assert not schedule


def test_a_group_that_only_trains_leaves_its_evaluation_to_others(tmp_path):
    reference, *trials = with_references(short(["digits/lenet_300_100/jacobian/*"], 1))
    assert list(group.train_group([reference], tmp_path, "cpu")) == [(reference.key,)]
    # All at once: what waits for several of them is taken as one group.
    (keys,) = group.train_group(trials, tmp_path, "cpu")
    assert keys == tuple(each.key for each in trials)
    for each in trials:
        folder = TrialFolder(tmp_path, each.key)
        assert folder.is_trained and folder.outcome() is None
        trained = folder.digest()
        outcome = trial.run_trial(each, tmp_path, "cpu")
        assert outcome.status == "finished"
        assert outcome.provenance["weights_sha256"] == trained
        assert [score.metric for score in outcome.scores] == ["accuracy", "loss"]
    (other,) = short(["digits/lenet_300_100/curvature/0.1"], 1)
    broken = other.model_copy(update={"plugin": tmp_path / "none"})
    failed, keys = group.train_group([broken, trials[0]], tmp_path, "cpu")
    assert (failed.key, failed.status) == (broken.key, "failed")
    assert keys == (trials[0].key,)


def test_methods_that_cannot_be_stacked_are_taken_one_by_one():
    trials = [
        each.model_copy(update={"stackable": False})
        for each in short(["digits/lenet_300_100/jacobian/*"])
    ]
    schedule = Schedule(trials)
    assert [len(schedule.take(80)) for _ in trials] == [1] * len(trials)


def run_all(trials, home):
    schedule = Schedule(trials)
    while schedule:
        for outcome in group.run_group(schedule.take(80), home, "cpu"):
            schedule.settle(outcome)
            yield outcome


def test_a_group_ends_with_the_weights_of_its_trials_run_alone(tmp_path):
    trials = with_references(
        short(["digits/lenet_300_100/jacobian/0.1", "digits/lenet_300_100/jacobian/0.01"])
    )
    alone = {
        outcome.key: outcome
        for each in trials
        for outcome in [trial.run_trial(each, tmp_path / "alone")]
    }
    for outcome in run_all(trials, tmp_path / "together"):
        assert outcome.provenance["engine"].startswith("stacked")
        assert alone[outcome.key].provenance["engine"] == "sequential"
        assert outcome.status == alone[outcome.key].status == "finished"
        one, other = (
            load_file(tmp_path / home / outcome.key / "weights.safetensors")
            for home in ("alone", "together")
        )
        for name, tensor in one.items():
            torch.testing.assert_close(
                other[name], tensor, rtol=1e-3, atol=1e-4
            )  # float32, 40 steps


def test_a_stack_that_runs_out_of_memory_is_halved(tmp_path, monkeypatch):
    real, sizes = group.train_stacked, []

    def limited(models, *arguments, **options):
        sizes.append(len(models))
        if len(models) > 3:
            raise torch.OutOfMemoryError("no memory for more than three")
        return real(models, *arguments, **options)

    monkeypatch.setattr(group, "train_stacked", limited)
    trials = list(short(["digits/lenet_300_100/jacobian/*"]))
    references = [each.reference for each in trials[:2]]
    assert {outcome.status for outcome in group.run_group(references, tmp_path, "cpu")} == {
        "finished"
    }
    outcomes = list(group.run_group(trials, tmp_path, "cpu"))
    assert sizes == [2, 6, 3, 3]
    assert [outcome.provenance["engine"] for outcome in outcomes] == ["stacked, 3 models"] * 6


def test_what_the_stacked_engine_cannot_do_runs_one_by_one_with_a_warning(tmp_path, monkeypatch):
    def broken(*arguments, **options):
        raise RuntimeError("no rule for this layer")

    monkeypatch.setattr(group, "train_stacked", broken)
    trials = list(short(["digits/lenet_300_100/none/0"]))
    references = [each.reference for each in trials]
    with pytest.warns(
        RuntimeWarning,
        match="1 more go on one by one, as stacking them failed: RuntimeError: no rule",
    ):
        outcomes = list(group.run_group(references, tmp_path, "cpu"))
    assert [outcome.provenance["engine"] for outcome in outcomes] == ["sequential"] * 2


def test_a_group_is_attacked_together_and_scores_as_its_trials_do_alone(tmp_path, monkeypatch):
    threats = [
        Threat(attack="pgd", norm="inf", epsilon=epsilon, steps=5) for epsilon in (0.05, 0.1)
    ]
    parts = (
        Part(name="clean", split="test", examples=50),
        *(Part(name=threat.id, split="test", examples=50, threat=threat) for threat in threats),
    )
    trials = [
        each.model_copy(update={"evaluation": parts})
        for each in short(["digits/lenet_300_100/jacobian/*"], 1)
    ]
    reference = trials[0].reference
    list(group.run_group([reference], tmp_path, "cpu"))
    together = list(group.run_group(trials, tmp_path, "cpu"))
    # A single model's attack: not called for a group.
    monkeypatch.setattr(evaluation_parts, "attack_curve", None)
    for each in trials:
        (tmp_path / each.key / "outcome.json").unlink()
    assert [o.status for o in group.run_group(trials, tmp_path, "cpu")] == ["finished"] * len(
        trials
    )
    monkeypatch.undo()
    for each, outcome in zip(trials, together):
        (tmp_path / each.key / "outcome.json").unlink()
        alone = trial.run_trial(each, tmp_path)
        found, expected = (
            {(s.threat, s.metric): s.value for s in o.scores} for o in (outcome, alone)
        )
        assert found.keys() == expected.keys()
        assert all(
            abs(found[which] - expected[which]) <= 0.02 for which in found
        )  # one image of 50, in float32
