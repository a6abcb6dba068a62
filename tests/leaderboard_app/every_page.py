"""Loads every page of the app in this environment and says how long each took. Run: python
tests/leaderboard_app/every_page.py

Exits with 1 where a page breaks, or where torch has been imported.
"""

import logging
import sys
import time
from pathlib import Path

from streamlit.testing.v1 import AppTest

APP = Path(__file__).resolve().parents[2] / "leaderboard_app" / "app.py"


def main() -> int:
    logging.disable(logging.WARNING)  # Streamlit's, about a script that runs without its server
    app, broken = AppTest.from_file(APP, default_timeout=120).run(), 0
    for path in sorted((APP.parent / "app_pages").glob("[a-z]*.py")):
        start = time.perf_counter()
        app.switch_page(f"app_pages/{path.name}").run()
        broken += len(app.exception)
        said = [error.message for error in app.exception] or "ok"
        print(f"{path.stem:12} {time.perf_counter() - start:5.1f} s  {said}")
    if "torch" in sys.modules:
        print("torch was imported")
    return 1 if broken or "torch" in sys.modules else 0


if __name__ == "__main__":
    raise SystemExit(main())
