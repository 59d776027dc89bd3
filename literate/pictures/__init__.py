"""Pictures of live objects, for pages and notebooks: inline SVG and HTML from the standard library.

Each picture shows the state at the moment it was made, and its `repr` says the same in words.
"""

from .memory import Memory
from .ring import Ring
from .strip import Strip
from .svg import Picture
from .table import Table
from .writes import Write, Writes

__all__ = ["Memory", "Picture", "Ring", "Strip", "Table", "Write", "Writes"]
