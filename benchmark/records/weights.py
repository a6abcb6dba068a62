"""Trained weights where others find them: `$REGBENCH_WEIGHTS`, a folder or any URL that fsspec
knows (`s3://…` with s3fs, `hf://…` by huggingface_hub).

A trial's weights lie there as `<key>.safetensors`, and beside them as `<key>.json` their card. It
is written last: weights without one are not believed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from registry.spec import InputError, Trial, Unavailable
from registry.write import write_whole

from .home import TrialFolder
from .outcome import Row, TrainingRecord


class WeightsCard(Row):
    """What a store says of one trial's weights."""

    key: str
    entry: str
    seed: int
    sha256: str  # of the safetensors file
    spec: dict[str, Any]
    training: TrainingRecord


class WeightsStore:
    """Weights by trial key."""

    def __init__(self, url: str):
        """Raises InputError where no file system of fsspec is meant, or one that is not
        installed.
        """
        from fsspec.core import url_to_fs

        self.url = url
        try:
            self.files, self.root = url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise InputError(
                f"REGBENCH_WEIGHTS: {url}: {_first_line(error)}; name a folder, or a URL of fsspec"
            ) from None

    def push(self, trial: Trial, home: Path) -> Literal["pushed", "there"]:
        """Copies a trial's weights from a home, unless they are there already.

        Raises InputError where the store holds other weights of this trial: whoever pulled those
        rests on them.
        """
        folder = TrialFolder(home, trial.key)
        training = folder.training() if folder.is_trained else None
        if training is None:
            raise InputError(f"{trial.label}: is not trained in {home}; `regbench run` trains it")
        weights = folder.weights.read_bytes()
        card = WeightsCard(
            key=trial.key,
            entry=trial.entry.id,
            seed=trial.seed,
            sha256=hashlib.sha256(weights).hexdigest(),
            spec=json.loads(trial.spec),
            training=training,
        )
        known = self.card(trial)
        if known is not None:
            if known.sha256 != card.sha256:
                raise InputError(
                    f"{self._place(trial)}.safetensors: holds other weights of {trial.label} "
                    "than this home; delete it and its card there, or push to another store"
                )
            return "there"
        self._ask(lambda: self.files.makedirs(self.root, exist_ok=True))
        self._ask(lambda: self.files.pipe_file(f"{self._path(trial)}.safetensors", weights))
        written = card.model_dump_json(indent=1).encode()
        self._ask(lambda: self.files.pipe_file(f"{self._path(trial)}.json", written))
        return "pushed"

    def pull(self, trial: Trial, home: Path) -> Literal["pulled", "here", "missing"]:
        """Copies a trial's weights into a home, where they then count as trained, unless the home
        has them or the store lacks them.

        Raises InputError where they are not those of the card.
        """
        folder = TrialFolder(home, trial.key)
        if folder.is_trained:
            return "here"
        card = self.card(trial)
        weights = None if card is None else self._read(f"{self._path(trial)}.safetensors")
        if card is None or weights is None:
            return "missing"
        if hashlib.sha256(weights).hexdigest() != card.sha256:
            raise InputError(
                f"{self._place(trial)}.safetensors: is not the file of its card (another SHA-256); "
                "delete both there and push them again"
            )
        folder.begin()
        write_whole(folder.weights, weights)
        folder.believe(card.training)
        return "pulled"

    def card(self, trial: Trial) -> WeightsCard | None:
        """None where the store has no weights of the trial. Raises InputError where the card is
        damaged or another trial's.
        """
        text = self._read(f"{self._path(trial)}.json")
        if text is None:
            return None
        again = "delete it there and push again"
        try:
            card = WeightsCard.model_validate_json(text)
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise InputError(
                f"{self._place(trial)}.json: is no card of weights ({reason}); {again}"
            ) from None
        if card.key != trial.key:
            raise InputError(f"{self._place(trial)}.json: is of trial {card.key!r}; {again}")
        return card

    def _path(self, trial: Trial) -> str:
        return f"{self.root.rstrip('/')}/{trial.key}"

    def _place(self, trial: Trial) -> str:
        return f"{self.url.rstrip('/')}/{trial.key}"

    def _read(self, path: str) -> bytes | None:
        """None where there is no such file."""

        def read() -> bytes | None:
            try:
                return self.files.cat_file(path)
            except FileNotFoundError:
                return None

        return self._ask(read)

    def _ask(self, do: Callable[[], Any]) -> Any:
        """What the file system gives. Raises Unavailable where it does not answer."""
        try:
            return do()
        # What the clients of all stores raise has no common base class.
        except Exception as error:
            raise Unavailable(f"{self.url}: does not answer: {_first_line(error)}") from None


def weights_store() -> WeightsStore:
    """`$REGBENCH_WEIGHTS`. Raises InputError where it is not set or names nothing."""
    url = os.environ.get("REGBENCH_WEIGHTS")
    if not url:
        raise InputError(
            "REGBENCH_WEIGHTS is not set; name the store of trained weights: a folder, or a URL of "
            "fsspec such as s3://bucket/weights or hf://owner/name"
        )
    return WeightsStore(url)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
