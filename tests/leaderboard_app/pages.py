"""The app's pages without a browser."""

from pathlib import Path

import pandas as pd
from streamlit.testing.v1 import AppTest

APP = Path(__file__).resolve().parents[2] / "leaderboard_app" / "app.py"
PAGES = sorted(f"app_pages/{path.name}" for path in (APP.parent / "app_pages").glob("[a-z]*.py"))
ALIKE = ("about", "submit")  # these show the same whatever has run


def opened(page: str = "app_pages/leaderboard.py", **query) -> AppTest:
    """The page as a link with these choices opens it."""
    app = AppTest.from_file(APP, default_timeout=60)
    app.run()
    app.switch_page(page)
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def texts(app: AppTest) -> str:
    kinds = (
        app.markdown,
        app.info,
        app.warning,
        app.error,
        app.caption,
        app.text,
        app.title,
        app.header,
    )
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def every_page(**query):
    """Every page in turn, within one session."""
    app = AppTest.from_file(APP, default_timeout=60)
    app.query_params.update(query)
    app.run()
    for page in PAGES:
        app.switch_page(page).run()
        assert not app.exception, f"{page}: {app.exception}"
        yield page, app


def tables(app: AppTest) -> pd.DataFrame:
    return pd.concat([frame.value for frame in app.dataframe if "Rank" in frame.value.columns])
