"""What is measured, what a rank means, what is not claimed, and how to cite."""

import streamlit as st

from leaderboard_app.words import citation

st.title("About")
st.markdown(
    """
A **regularizer** adds a penalty to the loss, weighted by λ, so that a network changes little where
its input changes little. RegBench trains each one alike and asks how robust the network is, how
surely, and at what cost.

A **track** is one comparison: a data set, networks, a training recipe, attacks and seeds, all held
fixed. Every method fine-tunes the same reference network of each seed with the same number of λ.

## What is measured
- **Clean** accuracy: on unperturbed test images.
- **Robust** accuracy: under an attack that changes each image by at most ε. ℓ∞ bounds the change of
  every pixel, ℓ2 the length of all changes together. All images lie in [0, 1].
- **Distance**: an attack without ε searches the smallest change that alters the answer. The share
  ‖r‖/‖x‖ of the image's length is its score; higher is better.
- **Worst case**: right under all attacks within the norm and ε that rank.
- **Cost**: training seconds relative to training without a regularizer, on the same device.

## What a rank means
λ is chosen on validation images: the most robust of those that keep the track's floor of clean
accuracy. Each seed is scored at the λ that the other seeds choose, which owes it nothing. Methods
are ranked on test images by the score that the track names. A rank such as 1–3 is an interval: the
paired differences over seeds and test images cannot tell (at 95 %, all pairs together) whether the
method is first or third. A method whose attacks cannot be believed is flagged, and not ranked.

## Tiers
*quick*: the track's own attacks on a fixed subset of test images. *standard*: APGD as well, and
PGD on the margin with ten restarts. *verified*: AutoAttack as well, on what PGD leaves and bounds
do not certify.

## Whose word a row is
*here*: run into this database. *registered*: brought by the repository. *claimed*: a submission's
own. *verified*: a submission's, repeated in the sandbox.

## What is not claimed
No attack proves robustness: a stronger one may find what these did not. The tracks with rows are
small networks on small images, and what holds there need not hold elsewhere.
"""
)
st.header("Cite")
st.markdown("Cite the benchmark, and the paper of every method that you report.")
st.code(citation.of_benchmark(), language="bibtex")
st.markdown(
    "A method's page has its paper's entry, and the benchmark's with the commits that made the "
    "method's rows; so has a click on a chart's point."
)
