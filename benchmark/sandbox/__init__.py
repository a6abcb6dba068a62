"""Where submitted code runs: a child process that can reach nothing but its task. Loads no torch
before it trains.
"""

from .bubblewrap import refusal, require
from .process import Answer, Limits, SandboxError, run

__all__ = ["Answer", "Limits", "SandboxError", "refusal", "require", "run"]
