# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {name: python3, display_name: Python 3, language: python}
# ---

# %% [markdown]
# # Lipschitz and cross-Lipschitz, step by step
#
# Two penalties of the logits' gradients $v_k = \nabla_x z_k$: the squared local Lipschitz constant
# $\mu^2 = \sum_k \|v_k\|^2$, and the cross-Lipschitz penalty
# $\Omega = \frac{1}{K^2}\sum_{l,m} \|v_l - v_m\|^2$. The first pulls every gradient to zero, the
# second pulls them together. How much do they differ?

# %%
import os
import subprocess
import sys

import pandas as pd
import plotly.express as px
import plotly.io
import torch

import benchmark
from benchmark.data import load
from benchmark.measures.jacobian import cross_lipschitz, gram, jacobian, lipschitz
from benchmark.records.home import home
from registry.load import Registry

plotly.io.renderers.default = "notebook_connected"

# %% [markdown]
# ## The identity
#
# The square of a difference is two squares and a product. Summed over all pairs,
#
# $$\Omega = \frac{2}{K}\left(\mu^2 - K\,\|\bar v\|^2\right), \qquad
#   \bar v = \frac{1}{K}\sum_k v_k .$$
#
# So $\frac{K}{2}\Omega$ is $\mu^2$ less what the logits' gradients have in common. Random numbers
# agree:

# %%
V = torch.randn(5, 10, 64, dtype=torch.float64)  # five images, ten logits, 64 pixels
G = gram(V)
common = 10 * V.mean(1).square().sum(1)
(cross_lipschitz(G) - 2 / 10 * (lipschitz(G).square() - common)).abs().max()

# %% [markdown]
# ## What training leaves of the common part
#
# Cross-entropy never sees it: softmax does not change when the same number is added to all logits.
# So nothing but the starting weights and the penalty decides it. Three networks from one start:
# fine-tuned without a penalty, with $\mu^2$, and with $\Omega$.

# %%
environment = os.environ | {"REGBENCH_RESULTS": "none"}  # train, though the rows are registered
entries = {
    "none": "digits/lenet_300_100/none/0",
    "µ²": "digits/lenet_300_100/jacobian/0.1",
    "Ω": "digits/lenet_300_100/cross_lipschitz/0.4",
}
command = [sys.executable, "-m", "benchmark.commands", "run", *entries.values(), "--seeds", "1"]
subprocess.run(command, env=environment, check=True, capture_output=True)
x = load(Registry().dataset("digits"), home()).test.pixels(slice(200))
rows = []
for penalty, entry in entries.items():
    V = jacobian(benchmark.load_model(entry), x)
    G = gram(V)
    rows.append(
        pd.DataFrame(
            {
                "penalty": penalty,
                "µ²": lipschitz(G).square(),
                "KΩ/2": 5 * cross_lipschitz(G),
                "common": 10 * V.double().mean(1).square().sum(1),
            }
        )
    )
images = pd.concat(rows)
images.groupby("penalty", sort=False).mean().round(3)

# %% [markdown]
# Each dot is a test image; on the diagonal the gradients have nothing in common.

# %%
figure = px.scatter(images, x="KΩ/2", y="µ²", color="penalty", log_x=True, log_y=True, opacity=0.6)
low, high = images["KΩ/2"].min(), images["µ²"].max()
figure.add_shape(type="line", x0=low, y0=low, x1=high, y1=high, line={"dash": "dot"})
figure.show()

# %% [markdown]
# With $\mu^2$ in the loss the common part is gone; with $\Omega$ it is left where it was, and no
# prediction and no attack notices. Whether the two also give the same *robustness* is a question
# to trained networks, with seeds and intervals: the page Equivalence of `regbench app` answers it
# for every track, and [What the results say](../../results/) in a sentence.
