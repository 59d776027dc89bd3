"""Pictures of live objects, for pages and notebooks: inline SVG and HTML from the standard library.

Each picture shows the state at the moment it was made, and its `repr` says the same in words.
"""

from .lanes import Lanes
from .listing import Listing
from .memory import Memory
from .plot import Plot
from .ring import Ring
from .sequence import Sequence
from .sets import Sets
from .strip import Strip
from .svg import Picture
from .table import Table
from .timeline import Event, Span
from .writes import Write, Writes

__all__ = [
    "Event",
    "Lanes",
    "Listing",
    "Memory",
    "Picture",
    "Plot",
    "Ring",
    "Sequence",
    "Sets",
    "Span",
    "Strip",
    "Table",
    "Write",
    "Writes",
]
