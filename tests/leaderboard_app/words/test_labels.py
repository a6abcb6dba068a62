import html
import math

import pytest

from leaderboard_app.words.labels import (
    RADII,
    columns_of,
    difference,
    family_label,
    hover,
    lines,
    plain,
    radius,
    threat_label,
)
from registry.load import Registry
from registry.spec import Threat


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.1, "0.1"),
        (0.2, "0.2"),
        (1.5, "1.5"),
        (0.0313725, "8/255"),
        (8 / 255, "8/255"),
        (0.00784314, "2/255"),
        (0.0314, "0.0314"),
        (0.123457, "0.123457"),
        (1e-05, "1e-05"),
    ],
)
def test_a_radius_is_written_in_grey_levels_where_it_was_rounded_from_them(value, shown):
    assert radius(value) == shown


def test_a_threat_is_labelled_with_what_is_not_customary():
    assert threat_label(Threat(attack="pgd", norm="inf", epsilon=0.1)) == "PGD ℓ∞ ε=0.1"
    assert (
        threat_label(
            Threat(attack="pgd", norm="2", epsilon=0.5, steps=10, step_size=1e-5, loss="margin")
        )
        == "PGD ℓ2 ε=0.5 steps=10 step_size=1e-05 loss=margin"
    )
    assert threat_label(Threat(attack="carlini_wagner", norm="2", steps=50)) == "C&W ℓ2 steps=50"


def test_two_columns_of_a_track_are_never_headed_alike():
    for name in Registry().track_names:
        columns = columns_of(Registry().track(name))
        assert len(set(columns.values())) == len(columns)


def test_a_long_text_on_an_axis_is_cut_into_lines_and_read_as_no_html():
    text = "Accuracy under PGD ℓ∞ ε=8/255 <b>steps=10 step_size=2/255</b> (%)"
    found = lines(text).split("<br>")
    assert len(found) > 1 and all(len(html.unescape(line)) <= 44 for line in found)
    assert html.unescape(" ".join(found)) == text and "<" not in "".join(found)


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ((0.012, 0.004, 0.02), "+1.2 [+0.4, +2.0]"),
        ((0.0003, 0.0001, 0.0005), "+0.030 [+0.010, +0.050]"),
        ((0.02, math.nan, math.nan), "+2.0"),
    ],
)
def test_a_difference_has_as_many_digits_as_tell_its_ends_apart(ends, said):
    assert difference(*ends) == said


def test_a_curve_over_epsilon_names_its_attack_norm_and_loss():
    assert family_label("pgd", "2", "ce") == "PGD ℓ2"
    assert family_label("pgd", "2", "margin") == "PGD ℓ2, margin loss"
    assert family_label("fgsm", "inf", "") == "FGSM ℓ∞"
    assert "pixel" in RADII["inf"] and "pixel" not in RADII["2"]


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "a_b *c* [link](http://x)",
        "$x$ :red[y] # z",
        "1. one",
        "`a",
        "` ![x](https://evil.example/x.png) **b** ``` y",
        "`a\n\n**b**`",
        "&lt;",
    ],
)
def test_foreign_text_is_escaped_for_markdown_and_for_plotly(text):
    stripped = plain(text).replace("\\", "")
    assert stripped == text
    for sign in "<>*_[]$#&:":
        assert plain(text).count(sign) == plain(text).count("\\" + sign)
    assert "<" not in hover(text)


def test_code_in_foreign_text_stays_code():
    assert plain("run `regbench_run *` or *`b`*") == "run `regbench_run *` or \\*`b`\\*"
