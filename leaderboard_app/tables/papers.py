"""The figures and tables of the papers that the tracks come from, and where each is drawn."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

GUO, WEN = "Guo et al. 2020", "Wen et al. 2020"
HOELDER, ROTH = "Cross-Hölder regularization", "Roth et al. 2020"
TWO = ("guo-binary-mnist", "guo-fashion-binary", "digits-binary", "guo-binary-cifar10")
MANY = ("guo-fashion", "guo-multiclass-mnist", "guo-multiclass-cifar10")
MARGINS = ("wen-fashion", "wen-cifar10", "wen-cifar100", "wen-tiny-imagenet")
SMOOTH = ("cross-hoelder-fashion", "cross-hoelder-mnist", "cross-hoelder-fashion-mnist")
NORMS = ("roth-fashion", "roth-cifar10", "roth-svhn")


@dataclass(frozen=True)
class Drawing:
    """A figure or a table of a paper: what it shows, the tracks whose rows show it (the first that
    has any does), and the page that draws it.

    choices: made on that page, beside the track.
    """

    paper: str
    number: str
    shows: str
    tracks: tuple[str, ...]
    page: str
    choices: Mapping[str, str] = field(default_factory=dict)


DRAWINGS = (
    Drawing(GUO, "Figure 1", "‖r*‖ against p_y for several ν", TWO, "theory"),
    Drawing(GUO, "Figure 2", "Two classes: four attacks over λ", TWO, "equivalence"),
    Drawing(GUO, "Figure 3", "What each regularizer weighs", TWO, "theory"),
    Drawing(GUO, "Figure 4", "Two classes, all models: four attacks over λ", TWO, "equivalence"),
    Drawing(GUO, "Figure 5", "Many classes: four attacks over λ", MANY, "equivalence"),
    Drawing(GUO, "Figure 6", "Two classes, CIFAR-10", TWO[3:], "equivalence"),
    Drawing(GUO, "Figure 7", "Many classes, CIFAR-10", MANY[2:], "equivalence"),
    Drawing(WEN, "Figure 1", "Singular values, margins, accuracies", MARGINS, "margins"),
    Drawing(WEN, "Figure 3", "Gaps of loss and error over strength", MARGINS, "margins"),
    Drawing(WEN, "Figure 4", "Margins of each strength, train and test", MARGINS, "margins"),
    Drawing(WEN, "Figure 5", "Histograms of p_y and of the loss", MARGINS, "margins"),
    Drawing(
        WEN,
        "Figure 6",
        "Gaps over strength at bounded spectral norms",
        ("wen-fashion", "wen-spectral"),
        "margins",
        choices={"regularizer": "adversarial_training:bound=3.0"},
    ),
    Drawing(
        WEN, "Figure 7", "The same of a deeper network", ("wen-cifar10", "wen-cifar100"), "margins"
    ),
    Drawing(WEN, "Figure 8, Table 1", "Maximal loss variation", MARGINS, "margins"),
    Drawing(WEN, "Figure 9, Table 2", "The same with FGSM training", MARGINS[1:3], "margins"),
    Drawing(WEN, "Figures 10, 11", "Margins and histograms, further data", MARGINS[1:], "margins"),
    Drawing(
        WEN,
        "Figure 12",
        "Accuracy under attack over strength",
        MARGINS,
        "method",
        choices={"regularizer": "adversarial_training"},
    ),
    Drawing(
        WEN,
        "Tables 3–6",
        "Accuracies, gaps and PGD of each network",
        (*MARGINS, "wen-spectral"),
        "method",
        choices={"regularizer": "adversarial_training"},
    ),
    Drawing(HOELDER, "Figures 1, 4", "Accuracy against ε, MNIST", SMOOTH[1:2], "robustness"),
    Drawing(
        HOELDER,
        "Figures 2, 5",
        "Accuracy against ε, Fashion-MNIST",
        (SMOOTH[0], SMOOTH[2]),
        "robustness",
    ),
    Drawing(HOELDER, "Figure 3", "‖H·g/‖g‖‖ against ‖H‖", SMOOTH, "theory"),
    Drawing(ROTH, "Figure 6", "Accuracies of adversarially trained models", NORMS, "robustness"),
    Drawing(
        ROTH, "Figure 7", "Between operator norm and adversarial training", NORMS[:2], "robustness"
    ),
    Drawing(ROTH, "Figure 8", "Alignment with the dominant singular vector", NORMS, "theory"),
    Drawing(ROTH, "Figure 9", "Shared activations against ‖z‖", NORMS, "theory"),
    Drawing(ROTH, "Figures 10, 12", "Deviation from linearity against ‖z‖", NORMS, "theory"),
    Drawing(ROTH, "Figures 11, 13–15", "Accuracy against ε", NORMS, "robustness"),
    Drawing(ROTH, "Tables 1–3", "Accuracies and sweeps of λ and ε", NORMS, "find"),
)


def drawn_from(drawing: Drawing, filled: Collection[str]) -> str:
    """The first of its tracks that has rows, whose page then draws it; "" where none has."""
    return next((track for track in drawing.tracks if track in filled), "")
