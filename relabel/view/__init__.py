"""Label files as a web page: served to a browser of this machine, or written as one HTML file that needs no network.

Both have the same page. It asks for the cameras of a collection, and for rows, keys and figures as they are wanted:
from `server`, which reads them from the file, or from the page itself, into which `standalone` has put them.
"""

from __future__ import annotations
