"""Every method looks the same on every page, and unlike every other, on both themes."""

import pytest

from leaderboard_app.reading import queries
from leaderboard_app.words.style import (
    COLOURS,
    CONTROL,
    FIRST,
    channels,
    ordered,
    strength_colours,
    styles,
)
from registry.load import Registry

PAGES = {"light": "#FFFFFF", "dark": "#0E1117"}  # Streamlit's


def luminance(colour):
    """Relative luminance as WCAG 2 defines it."""
    linear = [
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
        for share in (channel / 255 for channel in channels(colour))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(colour, page):
    light, dark = sorted((luminance(colour), luminance(page)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_every_line_stands_out_from_the_page(page):
    names = queries.method_names()
    drawn = {style.colour for style in styles(names).values()} | {CONTROL, *COLOURS}
    for count in range(1, 20):
        drawn |= set(strength_colours([0.0, *(0.1 * i for i in range(1, count))]).values())
    for colour in drawn:
        assert contrast(colour, page) >= 3, colour


def test_every_name_of_the_registry_and_its_tracks_looks_different():
    names = queries.method_names()
    assert set(Registry().regularizer_folders) <= set(names)
    assert len(names) > 20
    found = styles(names)
    looks = {(style.colour, style.dash, style.symbol) for style in found.values()}
    assert len(looks) == len(set(names) | {"none"})


@pytest.mark.parametrize("track", Registry().track_names)
def test_the_methods_and_variants_of_a_track_are_told_apart_by_lines_alone(track):
    names = {entry.regularizer for entry in Registry().entries(track)} | {"none"}
    found = styles(queries.method_names())
    assert len({(found[name].colour, found[name].dash) for name in names}) == len(names)


def test_thirty_five_methods_are_told_apart_by_lines_alone_and_by_markers_alone():
    names = [*FIRST, *(f"method_{i:02}" for i in range(35 - len(FIRST)))]
    found = styles(names)
    found.pop("none")
    assert len({(style.colour, style.dash) for style in found.values()}) == 35
    assert len({(style.colour, style.symbol) for style in found.values()}) == 35


def test_a_method_keeps_its_style_whatever_else_is_asked_for():
    few = styles(["jacobian", "cross_lipschitz"])
    many = styles([*FIRST, "zeta", "alpha", "jacobian:projections=1"])
    for name in few:
        assert few[name] == many[name]
    assert many["jacobian:projections=1"].colour == many["jacobian"].colour
    assert many["jacobian:projections=1"] != many["jacobian"]


def test_what_is_flagged_is_an_outline_and_looks_like_nothing_that_is_not():
    found = styles([*FIRST, "jacobian:projections=1", "jacobian:projections=2", "trades:a=1"])
    outlines = {(style.colour, style.outline) for style in found.values()}
    assert not outlines & {(style.colour, style.symbol) for style in found.values()}
    assert {symbol.rpartition("-")[2] for _, symbol in outlines} == {"open"}
    variants = [style.symbol for name, style in found.items() if name.startswith("jacobian:")]
    assert len(set(variants)) == 2


def test_a_radius_is_called_epsilon_in_levels_and_a_weight_lambda():
    found = styles(queries.method_names(), queries.radii())
    assert found["adversarial_training"].strength(0.0313725) == "ε = 8/255"
    assert found["adversarial_training:bound=3.0"].strength(0.5) == "ε = 0.5"
    assert found["jacobian"].strength(0.32) == "λ = 0.32"


def test_strengths_differ_and_none_is_grey():
    colours = strength_colours([0.4, 0.0, 0.1, 0.2])
    assert list(colours) == [0.0, 0.1, 0.2, 0.4]
    assert colours[0.0] == CONTROL
    assert len(set(colours.values())) == 4


def test_the_control_comes_first_and_a_variant_beside_its_method():
    assert ordered(["zeta", "curvature", "jacobian:projections=1", "jacobian", "none"]) == [
        "none",
        "jacobian",
        "jacobian:projections=1",
        "curvature",
        "zeta",
    ]
