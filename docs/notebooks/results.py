# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {name: python3, display_name: Python 3, language: python}
# ---

# %% [markdown]
# # Reading the results with DuckDB and Parquet
#
# Registered results are two files a track: lines of JSON with what a reviewer reads, a row a trial,
# and Parquet with what is known of each image, layer and epoch. DuckDB reads both where they lie,
# without this package.

# %%
import duckdb
import plotly.express as px
import plotly.io

from registry.places import HERE

plotly.io.renderers.default = "notebook_connected"
lines, lists = (str(HERE / "results" / f"quickstart.{end}") for end in ("jsonl", "parquet"))

# %% [markdown]
# ## A row a trial

# %%
trials = duckdb.read_json(lines, format="newline_delimited")
duckdb.sql(
    """
    SELECT regularizer, "lambda", status, count(*) AS seeds, mean(train_seconds) AS seconds
    FROM trials GROUP BY ALL ORDER BY regularizer, "lambda"
    """
).df()

# %% [markdown]
# ## An answer an image
#
# `examples` is a list of columns, each with a number for every image: 1 where the model was right
# under a threat, 0 where it was not. Beside the labels, that is accuracy by class.

# %%
hits = duckdb.sql(
    """
    WITH columns AS (
        SELECT key, unnest(examples) AS found FROM read_parquet($lists)
    ), labels AS (
        SELECT key, unnest(found.whole) AS label, generate_subscripts(found.whole, 1) AS image
        FROM columns
        WHERE found.threat = 'clean' AND found.split = 'test' AND found.metric = 'label'
    ), correct AS (
        SELECT key, unnest(found.whole) AS hit, generate_subscripts(found.whole, 1) AS image
        FROM columns
        WHERE found.threat = 'pgd-inf-0.1' AND found.split = 'test' AND found.metric = 'correct'
    )
    SELECT regularizer, "lambda", label, mean(hit) AS accuracy, count(*) AS n
    FROM correct JOIN labels USING (key, image) JOIN trials USING (key)
    GROUP BY ALL ORDER BY ALL
    """,
    params={"lists": lists},
).df()
hits.head()

# %% [markdown]
# Which digits does a penalty help? Accuracy under PGD within ℓ∞ 0.1, over three seeds, at the
# strongest λ of each method:

# %%
strongest = hits[hits["lambda"] == hits.groupby("regularizer")["lambda"].transform("max")]
table = strongest.pivot(index="regularizer", columns="label", values="accuracy")
figure = px.imshow(
    table,
    text_auto=".0%",
    aspect="auto",
    zmin=0,
    zmax=1,
    labels={"x": "digit", "y": "", "color": ""},
)
figure.show()
