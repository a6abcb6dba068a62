"""What runs, where, in which order, and what it costs; a run may be killed anywhere. Loads no
torch.
"""

from .runner import Plan, harvest, plan, prepared, run, trusted

__all__ = ["Plan", "harvest", "plan", "prepared", "run", "trusted"]
