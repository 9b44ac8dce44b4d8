"""Which preprocessing a network expects, from its file and a few photos, and what others cost."""

from normviz.inspection.inspect import (
    Step,
    guesses_under,
    inspect_network,
    verdict_of,
    views_for,
)
from normviz.inspection.verdict import Row, Verdict

__all__ = ["Row", "Step", "Verdict", "guesses_under", "inspect_network", "verdict_of", "views_for"]
