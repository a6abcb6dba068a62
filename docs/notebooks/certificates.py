# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {name: python3, display_name: Python 3, language: python}
# ---

# %% [markdown]
# # Certificates and attacks: robustness from both sides
#
# An attack that fails proves nothing, so accuracy under attack is an upper bound. A certificate
# proves that no perturbation within ε changes the class: a lower bound. The truth lies between.

# %%
import os
import subprocess
import sys

import pandas as pd
import plotly.express as px
import plotly.io
import torch

import benchmark
from benchmark.attacks import attack
from benchmark.data import load
from benchmark.measures.certificates import certified
from benchmark.records.home import home
from registry.load import Registry
from registry.spec import Threat

plotly.io.renderers.default = "notebook_connected"

# %% [markdown]
# Two networks of the track `quickstart`: fine-tuned without and with a penalty on the loss's
# gradient by the image.

# %%
environment = os.environ | {"REGBENCH_RESULTS": "none"}  # train, though the rows are registered
entries = {
    "none": "digits/lenet_300_100/none/0",
    "input gradient": "digits/lenet_300_100/input_gradient/0.4",
}
command = [sys.executable, "-m", "benchmark.commands", "run", *entries.values(), "--seeds", "1"]
subprocess.run(command, env=environment, check=True, capture_output=True)
test = load(Registry().dataset("digits"), home()).test
x, y = test.pixels(slice(120)), test.labels[:120]

# %% [markdown]
# ## Above: an attack, once
#
# The fast minimum-norm attack finds for each image the smallest perturbation that it can. Sorted,
# these are the whole curve of accuracy against ε.

# %%
nearest = {
    name: attack(Threat(attack="fmn", norm="inf"), benchmark.load_model(entry), x, y, seed=0)
    for name, entry in entries.items()
}
pd.DataFrame({name: pd.Series(found.distance).describe() for name, found in nearest.items()})

# %% [markdown]
# ## Below: linear bounds
#
# CROWN carries linear bounds of each margin $z_y - z_j$ backwards through the network; where all
# are positive over the whole ball, the image is certified.

# %%
rows = []
for name, entry in entries.items():
    model = benchmark.load_model(entry)
    for epsilon in torch.linspace(0.01, 0.1, 10).tolist():
        proven = certified(model, x, y, epsilon, "inf")
        standing = nearest[name].distance > epsilon
        assert not (proven & ~standing).any()  # no image is both certified and broken
        for side, share in (("certified", proven), ("not broken", standing)):
            share = share.float().mean().item()
            rows.append({"network": name, "ε": epsilon, "side": side, "accuracy": share})
curves = pd.DataFrame(rows)
curves.pivot(index="ε", columns=["network", "side"], values="accuracy").round(3)

# %%
figure = px.line(curves, x="ε", y="accuracy", color="network", line_dash="side")
figure.update_yaxes(tickformat=".0%", range=(0, 1))
figure.show()

# %% [markdown]
# At small ε the two sides almost meet: there the penalty's gain is proven. At larger ε they part,
# and what an attack leaves standing is not proof of anything.
