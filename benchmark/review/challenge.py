"""`regbench challenge check`: do the images break the model that they say they break?

A challenge is data alone: nothing of it runs. What it holds is looked at in the order of what it
costs to look, and nothing larger than a challenge may be is read.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path

import safetensors
import torch
from torch import Tensor, nn

from registry.load import Registry
from registry.read import nearest, shown
from registry.spec import InputError, Trial, Unavailable
from registry.write import write_whole

from .. import data
from ..attacks import misclassified
from ..attacks.perturbation import size
from ..data import Split
from ..records import home, open_store
from ..records.challenges import ACCEPTED, IMAGES, TOML, Acceptance, Challenge, digest, read
from ..records.home import TrialFolder
from ..records.weights import weights_store
from ..training import networks

# Beyond ε: float32 images near 1 are rounded by 6e-8, and so are those of whoever added ε to them.
TOLERANCE = 1e-6
BATCH = 512


def check(folder: Path) -> tuple[Challenge, Acceptance]:
    """Verifies a challenge and writes `accepted.json` into it.

    Every image must be one of the track's test images moved within the box [0, 1] and the ball that
    ranks, which the registered weights classify rightly as it was and wrongly as it is, in float32
    and in float64.

    Raises:
        InputError: what is wrong with it, in one line.
        Unavailable: there are no weights, in `$REGBENCH_HOME` or `$REGBENCH_WEIGHTS`.
    """
    challenge = read(folder)
    where = shown(folder / TOML)
    trial = _challenged(challenge, where)
    row = _row(trial, where)
    split, data_sha256 = _test_images(trial, row, where)
    places, adversarial = _images(folder / IMAGES, split)
    x, y = split.pixels(places), split.labels[places]
    _require_near(challenge, adversarial, x, places, shown(folder / IMAGES))
    weights = _weights(trial)
    if row.get("weights_sha256", weights.digest()) != weights.digest():
        raise InputError(
            f"{shown(weights.weights)}: are not the weights of the row of {trial.label}; "
            "`regbench weights pull` into an empty home brings those"
        )
    model = networks.load(trial.architecture, trial.dataset, weights.weights).eval()
    _require_fooled(model, adversarial, x, y, places, shown(folder / IMAGES))
    found = Acceptance(
        sha256=digest(folder),
        weights_sha256=weights.digest(),
        data_sha256=data_sha256,
        images=tuple(places.tolist()),
    )
    write_whole(folder / ACCEPTED, found.model_dump_json() + "\n")
    return challenge, found


def _challenged(challenge: Challenge, where: str) -> Trial:
    """The trial that it names. Raises InputError where there is no such trial, or the
    ball is not the one that ranks.
    """
    registry = Registry()
    try:
        track = registry.track(challenge.track)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    entries = {entry.id: entry for entry in registry.entries(track.name)}
    if challenge.entry not in entries:
        raise InputError(f"{where}: entry: {nearest(challenge.entry, entries, 'in the track')}")
    if challenge.seed >= track.seeds:
        raise InputError(f"{where}: seed: {challenge.seed} is none of 0 to {track.seeds - 1}")
    trial = registry.trial(entries[challenge.entry], track, challenge.seed)
    if challenge.key != trial.key:
        raise InputError(
            f"{where}: key: {challenge.key!r} is not that of {trial.label} in {track.name}, "
            f"{trial.key!r}; correct the field that is wrong"
        )
    ball, headline = challenge.threat, track.headline_threat
    if (ball.norm, ball.epsilon) != (headline.norm, headline.epsilon):
        raise InputError(
            f"{where}: threat: {track.name} ranks by norm {headline.norm} and epsilon "
            f"{headline.epsilon}, not by norm {ball.norm} and epsilon {ball.epsilon}"
        )
    return trial


def _row(trial: Trial, where: str) -> dict[str, str]:
    """The provenance of the trial's row. Raises InputError where it has none to be challenged."""
    known = open_store().trials([trial.key])
    if known.empty:
        raise InputError(f"{where}: {trial.label} has no row to challenge; `regbench run` makes it")
    return json.loads(known["provenance"].iloc[0])


def _test_images(trial: Trial, row: dict[str, str], where: str) -> tuple[Split, str]:
    found = data.load(trial.dataset, home(), train_size=trial.recipe.train_size)
    if row.get("data_sha256", found.sha256) != found.sha256:
        raise InputError(
            f"{where}: the images of {trial.dataset.id} here are not those of the row of "
            f"{trial.label}; set REGBENCH_DATA to a folder that has them"
        )
    return found.test, found.sha256


def _images(path: Path, test: Split) -> tuple[Tensor, Tensor]:
    """Places int64 [n], rising, and images float32 [n, C, H, W]. Raises InputError where the file
    holds anything else; shapes are read before any tensor is.
    """
    shape = tuple(test.images.shape[1:])
    needed = f"`images`, float32 [n, {', '.join(map(str, shape))}], and `indices`, int64 [n]"
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            found = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            held = {name: (part.get_dtype(), part.get_shape()) for name, part in found.items()}
            n = held.get("indices", ("", [0]))[1][:1]
            wanted = {"images": ("F32", [*n, *shape]), "indices": ("I64", n)}
            if held != wanted or n in ([], [0]):
                told = ", ".join(f"{name} {kind} {size}" for name, (kind, size) in held.items())
                raise InputError(f"{shown(path)}: holds {told or 'nothing'}; give {needed}")
            places, images = file.get_tensor("indices"), file.get_tensor("images")
    except (safetensors.SafetensorError, OSError) as error:
        raise InputError(
            f"{shown(path)}: is no whole safetensors file ({error}); give {needed}"
        ) from None
    rising = bool((places.diff() > 0).all())
    if not rising or places[0] < 0 or places[-1] >= len(test):
        raise InputError(
            f"{shown(path)}: indices must rise, each once, within 0 to {len(test) - 1}, the test "
            "images"
        )
    return places, images


def _require_near(
    challenge: Challenge, adversarial: Tensor, x: Tensor, places: Tensor, where: str
) -> None:
    ball = challenge.threat
    outside = ~((adversarial >= 0) & (adversarial <= 1)).flatten(1).all(1)  # NaN too
    if outside.any():
        raise InputError(
            f"{where}: test image {_first(places, outside)}: has pixels that are not within 0 to 1"
        )
    distance = size(adversarial.double() - x.double(), ball.norm)
    far = ~(distance <= ball.epsilon + TOLERANCE)
    if far.any():
        moved = float(distance[far][0])
        raise InputError(
            f"{where}: test image {_first(places, far)}: is moved by {moved:.9g}, more than "
            f"epsilon {ball.epsilon:g} in norm {ball.norm}; project it"
        )


def _weights(trial: Trial) -> TrialFolder:
    folder = TrialFolder(home(), trial.key)
    if not folder.is_trained:
        store = weights_store()
        if store.pull(trial, home()) == "missing":
            raise Unavailable(f"{store.url}: lacks {trial.label}, which is challenged; push it")
    return folder


def _require_fooled(
    model: nn.Module, adversarial: Tensor, x: Tensor, y: Tensor, places: Tensor, where: str
) -> None:
    """Raises InputError naming an image that was misclassified before, or is not now."""
    precise = copy.deepcopy(model).double()  # what rounding decides may differ elsewhere
    for net, dtype in ((model, torch.float32), (precise, torch.float64)):
        already = _wrong(net, x.to(dtype), y)
        if already.any():
            raise InputError(
                f"{where}: test image {_first(places, already)}: is misclassified as it is; leave "
                "it out"
            )
        stands = ~_wrong(net, adversarial.to(dtype), y)
        if stands.any():
            raise InputError(
                f"{where}: test image {_first(places, stands)}: is classified rightly in "
                f"{str(dtype).removeprefix('torch.')}; leave it out"
            )


@torch.no_grad()
def _wrong(model: nn.Module, images: Tensor, y: Tensor) -> Tensor:
    """[n] bool."""
    return misclassified(torch.cat([model(chunk) for chunk in images.split(BATCH)]), y)


def _first(places: Tensor, where: Tensor) -> int:
    return int(places[where][0])
