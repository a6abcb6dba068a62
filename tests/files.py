"""Files of a registry of one's own, or of whatever else a test lays out."""

from pathlib import Path


def write(folder: Path, path: str, text: str) -> None:
    """`text` as the file `path` in a folder, made where it is missing."""
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(text)
