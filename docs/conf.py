"""The documentation as a website: `make docs` builds it offline, and a warning is an error.

The source folder is the repository, so that a page may link to a result, the file format or a script where it is.
"""

from __future__ import annotations

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from relabel import __version__  # noqa: E402

project = "relabel"
author = "The relabel authors"
project_copyright = "the relabel authors"
version = release = __version__

root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "docs/**.rst",
    "formats/*.md",
    "benchmarks/README.md",
    "benchmarks/results/*.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
]
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"relabel {__version__}"
html_baseurl = ""
html_extra_path = ["site"]
html_copy_source = False
copybutton_exclude = ".linenos, .gp, .go"

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
napoleon_use_ivar = False
napoleon_attr_annotations = False
napoleon_use_rtype = False
napoleon_use_param = True
default_role = "code"  # a name in backticks may be that of an attribute of many classes
nitpick_ignore = [("myst", folder) for folder in ("schemas", "golden", "results")]  # folders have no page
