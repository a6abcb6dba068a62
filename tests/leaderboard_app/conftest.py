"""A database of synthetic but valid outcomes, written through the store like a run's."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import streamlit as st

from benchmark.records.home import DATABASE
from benchmark.records.outcome import Examples, Layer, Outcome, Score
from benchmark.records.store import Store
from registry.load import HERE, Registry
from registry.spec import Part, Trial

IMAGES = 40


@pytest.fixture(autouse=True)
def _main_module():
    """AppTest leaves its script as `__main__`, which processes that later tests spawn would run."""
    before = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = before


def outcome_of(trial: Trial, status: str = "finished") -> Outcome:
    """What such a trial might give: a little robustness per unit of log λ, and noise that its key
    seeds.
    """
    common = {
        "started": "2026-01-01T00:00:00+00:00",
        "provenance": {"device": "cpu", "torch": "2.13.0", "commit": "abc"},
    }
    if status == "failed":
        return Outcome.of(
            trial, status="failed", error="RuntimeError: out of <b>memory</b>", **common
        )
    if status == "diverged":
        return Outcome.of(trial, status="diverged", train_seconds=1.0, **common)
    rng = np.random.default_rng(int(trial.key[:12], 16))
    strength = trial.entry.strength * (
        trial.dataset.num_classes / 2 if trial.entry.regularizer == "jacobian" else 1
    )
    gain = 0.0 if strength == 0 else 0.1 * (math.log10(strength) + 5)
    scores, examples = [], []
    for part in trial.evaluation:
        for metric, value in _numbers(part, gain, rng).items():
            scores.append(
                Score(
                    threat=part.name,
                    split=part.split,
                    metric=metric,
                    value=value,
                    n=IMAGES,
                    examples=part.examples,
                )
            )
        for metric, values in _columns(part, gain, trial.dataset.num_classes, rng).items():
            examples.append(
                Examples(
                    threat=part.name,
                    split=part.split,
                    metric=metric,
                    examples=part.examples,
                    values=tuple(values.astype(float).tolist()),
                )
            )
    layers = [
        Layer(layer=name, kind="linear", metric="sigma_std", value=float(rng.uniform(0.1, 1)))
        for name in ("fc1", "fc2")
    ]
    return Outcome.of(
        trial,
        status="finished",
        iterations=100,
        train_seconds=1 + 3 * gain,
        evaluate_seconds=1.0,
        scores=tuple(scores),
        examples=tuple(examples),
        layers=tuple(layers),
        **common,
    )


def _numbers(part: Part, gain: float, rng: np.random.Generator) -> dict[str, float]:
    noise = float(rng.normal(0, 0.01))
    if part.name == "clean":
        return {
            "accuracy": min(1.0, 0.99 - 0.02 * gain + noise / 10),
            "loss": 0.1 + 0.05 * gain + abs(noise),
        }
    if part.name == "measures":
        return {"margin": 4 - gain, "cross_lipschitz": 3 - gain}
    if part.threat is not None and part.threat.epsilon is None:
        return {"success": 1.0, "relative_distance": 0.1 + 0.2 * gain + noise / 10}
    return {"robust_accuracy": min(1.0, max(0.0, 0.1 + gain + noise))}


def _columns(
    part: Part, gain: float, classes: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    if part.name == "clean":
        return {
            "correct": rng.uniform(size=IMAGES) < 0.95,
            "loss": rng.exponential(0.2, IMAGES),
            "margin": rng.normal(4 - gain, 1, IMAGES),
            "label": np.arange(IMAGES) % classes,
        }
    if part.threat is not None and part.threat.epsilon is not None:
        return {"correct": rng.uniform(size=IMAGES) < 0.1 + gain}
    if part.threat is not None:
        distance = rng.gamma(4, 0.1 + 0.2 * gain, IMAGES)
        return {"distance": distance, "relative_distance": distance / 9}
    V = rng.normal(0, 3 / (1 + 5 * gain), (IMAGES, 16, classes))
    pairs = V[:, :, :, None] - V[:, :, None, :]
    logits = (
        rng.normal(0, 1, (IMAGES, classes))
        + np.eye(classes)[rng.integers(classes, size=IMAGES)] * 4
    )
    z = np.sort(logits, axis=1)
    margin = z[:, -1] - z[:, -2]
    probability = 1 / (1 + np.exp(-margin))
    nu = np.sqrt(np.square(pairs).sum(1).mean((1, 2)) * 2)
    return {
        "margin": margin,
        "probability": probability,
        "probability_margin": 2 * probability - 1,
        "loss": -np.log(probability),
        "lipschitz": np.sqrt(np.square(V).sum((1, 2))),
        "cross_lipschitz": np.square(pairs).sum(1).mean((1, 2)),
        "gradient_norm": (1 - probability) * nu,
        "hessian_norm": probability * (1 - probability) * nu**2,
        "linearised_distance_2": margin / nu,
    }


class Filler:
    """Writes outcomes of a track's trials into the database of a home."""

    def __init__(self, home: Path):
        self.store = Store(home / DATABASE, patience=2.0)

    def __call__(
        self, track: str, seeds: int | None = None, status=lambda trial: "finished"
    ) -> list[Trial]:
        """`status` says what became of a trial; None: it has not run."""
        trials = [trial for _, trial in Registry().select([track], seeds)]
        once = {trial.key: trial for trial in trials}.values()
        self.store.record([outcome_of(trial, said) for trial in once if (said := status(trial))])
        return trials


@pytest.fixture
def fill(home) -> Filler:
    return Filler(home)


@pytest.fixture
def own_track(tmp_path, monkeypatch):
    """Registers quickstart once more, under the name "own" and with words replaced."""

    def register(words: dict[str, str]) -> str:
        folder = tmp_path / "own" / "tracks"
        folder.mkdir(parents=True)
        text = (HERE / "tracks" / "quickstart.toml").read_text()
        for old, new in {'name = "quickstart"': 'name = "own"', **words}.items():
            assert old in text
            text = text.replace(old, new)
        (folder / "own.toml").write_text(text)
        monkeypatch.setenv("REGBENCH_REGISTRY", str(folder.parent))
        return "own"

    return register


@pytest.fixture(autouse=True)
def _fresh_caches():
    st.cache_data.clear()
    st.cache_resource.clear()
