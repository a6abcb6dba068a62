"""One trial: what an earlier run found of it counts, as long as it is of the same weights."""

import pytest

from benchmark.records.home import TrialFolder
from benchmark.training import networks
from benchmark.trials.run import run_trial
from registry.load import Registry
from registry.spec import Part, Threat

CLEAN = Part(name="clean", split="test", examples=300)
FGSM = Threat(attack="fgsm", norm="inf", epsilon=0.1)
ATTACKED = Part(name=FGSM.id, split="test", examples=300, threat=FGSM)


@pytest.fixture
def trial():
    """A reference that trains for a moment."""
    (found,) = Registry().select(["digits/lenet_300_100/none/0"], 1)
    reference = found[1].reference
    recipe = reference.recipe.model_copy(update={"reference_iterations": 60})
    return reference.model_copy(update={"recipe": recipe, "evaluation": (CLEAN,)})


def accuracies(outcome):
    return {score.threat: score.value for score in outcome.scores if "accuracy" in score.metric}


def test_a_further_part_is_added_to_what_was_found_of_the_same_weights_only(trial, tmp_path):
    folder = TrialFolder(tmp_path, trial.key)
    first = run_trial(trial, tmp_path)
    more = trial.model_copy(update={"evaluation": (CLEAN, ATTACKED)})
    second = run_trial(more, tmp_path)
    assert accuracies(second)["clean"] == accuracies(first)["clean"] > 0.6
    assert second.started >= first.started and len(accuracies(second)) == 2

    other = networks.create(trial.architecture, trial.dataset, seed=1)
    networks.save(other, folder.weights, {"key": trial.key})
    third = run_trial(more, tmp_path)
    assert accuracies(third)["clean"] < 0.4
    assert third.provenance["weights_sha256"] == folder.digest()
    assert folder.sound_outcome() == third
