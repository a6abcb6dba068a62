# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {name: python3, display_name: Python 3, language: python}
# ---

# %% [markdown]
# # A first look at a regularizer
#
# An idea, ten lines of it, and the question what it does to a network: no files, no registry.
# Everything runs in this process on scikit-learn's digits, under the recipe of the track
# `quickstart`.

# %%
import plotly.express as px
import plotly.io

import benchmark

plotly.io.renderers.default = "notebook_connected"

# %% [markdown]
# A method is a function from a step of training to a penalty, one value an example. The step has
# the images `x`, the labels `y`, the logits and the losses of this batch, and the gradient of the
# loss by the images. This one is the length of that gradient.


# %%
def gradient_length(step):
    return step.input_gradient.flatten(1).norm(dim=1)


# %% [markdown]
# λ is multiplied by the benchmark, not by the method. λ = 0, the control, comes with every table.

# %%
found = benchmark.try_regularizer(gradient_length, strengths=(0.03, 0.1, 0.3))
found.round(3)

# %% [markdown]
# What it costs beside what it gives: clean accuracy against accuracy under PGD, a dot a λ.

# %%
figure = px.line(
    found,
    x="clean",
    y="pgd-inf-0.1",
    text="lambda",
    markers=True,
    labels={"clean": "clean accuracy", "pgd-inf-0.1": "accuracy under PGD, ℓ∞, ε = 0.1"},
)
figure.update_traces(textposition="top right")
figure.show()

# %% [markdown]
# A penalty of which this curve lies above the control's dot is worth a submission: `regbench new`
# makes the folder, [Submit](../../submit/) says the rest.
