"""A folder to upload: label file, README card, histogram, checksums, and metadata that programs read."""

from __future__ import annotations

from relabel.publish.about import About
from relabel.publish.hub import upload_command
from relabel.publish.upload import Published, publish

__all__ = ["About", "Published", "publish", "upload_command"]
