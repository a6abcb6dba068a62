"""Where submitted code runs: a child process that can reach nothing but its task. Loads no torch
before it trains.
"""

from .bubblewrap import refusal, require
from .process import Limits, SandboxError, started

__all__ = ["Limits", "SandboxError", "refusal", "require", "started"]
