"""Where submitted code runs: a child process that can reach nothing but its task. Loads no torch
before it trains.

Outside: `process` and `bubblewrap` start the child, `training` and `answered` ask it. Inside:
`child` does what it was started for, `answering` answers. `shared` lies between them.
"""

from .bubblewrap import refusal, require
from .process import Limits, SandboxError, started

__all__ = ["Limits", "SandboxError", "refusal", "require", "started"]
