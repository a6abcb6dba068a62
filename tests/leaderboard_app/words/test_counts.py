"""How many images and seeds something rests on, as its rows have it."""

import pandas as pd
import pytest

from leaderboard_app.words import counts


def stored(images):
    """A row an image; images: seed → how many."""
    rows = [
        {"key": f"model {seed}", "seed": seed, "image": image}
        for seed, most in images.items()
        for image in range(most)
    ]
    return pd.DataFrame(rows * 2)  # under two names


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ({0: 100, 1: 100, 2: 100}, "100 images of each model, seeds 0–2 of 5"),
        ({0: 64, 1: 100, 4: 100}, "64–100 images of each model, seeds 0, 1, 4 of 5"),
        ({3: 7}, "7 images of each model, seed 3 of 5"),
        (dict.fromkeys(range(5), 9), "9 images of each model, all seeds"),
    ],
)
def test_the_images_and_seeds_that_are_stored_are_counted(images, said):
    assert counts.images(stored(images), 5) == said


def test_of_one_seed_it_says_so():
    assert counts.images(stored({0: 3}), 1) == "3 images of each model, one seed"


def test_numbers_that_differ_are_a_span():
    assert counts.span([200.0, 100.0, 200.0]) == "100–200"
    assert counts.span([200.0, 200.0]) == "200"
