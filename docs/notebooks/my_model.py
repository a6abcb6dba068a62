# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {name: python3, display_name: Python 3, language: python}
# ---

# %% [markdown]
# # Scoring my own model
#
# Any torch module that takes images in [0, 1] and gives logits can stand before the same threats
# and measures as the leaderboard's rows: the code is the same.

# %%
import plotly.express as px
import plotly.io
import torch
from torch import nn
from torch.nn import functional as F

import benchmark
from benchmark.data import load
from benchmark.records.home import home
from registry.load import Registry

plotly.io.renderers.default = "notebook_connected"

# %% [markdown]
# A small network of one's own, trained by a loop of one's own. The images come from the benchmark's
# loader, so that none of the test images is trained on.

# %%
digits = load(Registry().dataset("digits"), home())
x, y = digits.train.pixels(), digits.train.labels

torch.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 64, 10)
)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for _ in range(15):
    for batch in torch.randperm(len(x)).split(64):
        optimizer.zero_grad()
        F.cross_entropy(model(x[batch]), y[batch]).backward()
        optimizer.step()

# %% [markdown]
# Under everything that the track `quickstart` measures:

# %%
scores = benchmark.evaluate(model, "quickstart")
scores.query("split == 'test' and metric in ['accuracy', 'robust_accuracy']").round(3)

# %% [markdown]
# The rows also say what is to be believed: `flags` names what speaks for masked gradients.

# %%
[*scores.query("flags.str.len() > 0")[["threat", "metric", "flags"]].itertuples(index=False)]

# %%
accuracies = scores.query("split == 'test' and metric in ['accuracy', 'robust_accuracy']")
figure = px.bar(
    accuracies, x="value", y="threat", orientation="h", labels={"value": "accuracy", "threat": ""}
)
figure.update_xaxes(range=(0, 1), tickformat=".0%")
figure.show()
