"""What the registered rows say of the papers' claims, beside the rows."""

from __future__ import annotations

import re

from benchmark.records import registered


def claims() -> str:
    """As Markdown; "" where nothing is said."""
    path = registered.results() / "README.md"
    sections = path.read_text().split("\n## ") if path.exists() else []
    told = [section for section in sections if section.startswith("What the papers claim")]
    return "".join(listed(section.partition("\n\n")[2]) for section in told)


def listed(section: str) -> str:
    """The table of claims as a list, which fits every screen; what stands around it stays.

    Args:
        section: Markdown, whose table has the columns claim, verdict and numbers.
    """
    lines, table = [], 0
    for line in section.splitlines():
        if not line.startswith("|"):
            lines.append(line)
            continue
        table += 1
        if table > 2:  # below the heads and their line
            row = line.strip().removeprefix("|").removesuffix("|")
            cells = re.split(r"(?<!\\)\|", row)  # a bar within a cell is escaped
            match [cell.strip().replace("\\|", "|") for cell in cells]:
                case claim, verdict, numbers:
                    lines.append(f"- {claim}: **{verdict}**. {numbers}.")
                case words:  # a hand has changed it
                    lines.append(f"- {' · '.join(words)}")
    return "\n".join(lines)
