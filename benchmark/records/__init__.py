"""Everything that outlives a process: outcomes, the home, the database, what is registered. Loads
no torch.
"""

from .home import TrialFolder, home
from .outcome import Outcome, Score
from .registered import open_store
from .store import Store

__all__ = ["Outcome", "Score", "Store", "TrialFolder", "home", "open_store"]
