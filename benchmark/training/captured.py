"""A stack's steps as a CUDA graph: the GPU goes from step to step without waiting for Python.

What Python does beside a stacked step of a small network takes longer than the step. A captured
step does it once.
"""

from __future__ import annotations

import torch

from .stack import Stack

# Each of a stack's generators is told where it stands before every replay: many steps a replay
# where they are drawn from.
DRAWING_STEPS = 10


class Captured:
    """Steps of a stack on a GPU, to be taken as often as asked.

    Attributes:
        steps: how many one replay takes.
    """

    def __init__(self, stack: Stack):
        self.steps = DRAWING_STEPS if stack.draws else 1
        self._graph = torch.cuda.CUDAGraph()
        for generator in stack.generators:
            self._graph.register_generator_state(generator)
        with torch.cuda.graph(self._graph):
            for _ in range(self.steps):
                stack.step()
        self.replay = self._graph.replay


def captured(stack: Stack) -> Captured | None:
    """The next steps of a stack that has taken its first ones; None where they cannot be captured:
    off a GPU, and where a step is told numbers by the host or reads one on it.
    """
    if stack.generators[0].device.type != "cuda" or stack.host_draws or _waits(stack):
        return None
    return Captured(stack)


def _waits(stack: Stack) -> bool:
    """Whether Python waits for a number within a step: for a decomposition's verdict, say."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        stack.rehearse()
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:
        return True
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return False
