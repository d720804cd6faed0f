"""The label file: written completely or not at all, read from disk or URL, checked to the last bit."""

from __future__ import annotations

from relabel.labelfile import provenance
from relabel.labelfile.checks import Finding, Report
from relabel.labelfile.collection import KeptOpen, StoredCollection
from relabel.labelfile.pack import pack
from relabel.labelfile.reader import LabelFile, open_address, open_collections
from relabel.labelfile.schema import is_shards_name
from relabel.labelfile.shard_writer import check_output
from relabel.labelfile.validator import validate
from relabel.labelfile.writer import write

__all__ = [
    "Finding",
    "KeptOpen",
    "LabelFile",
    "Report",
    "StoredCollection",
    "check_output",
    "is_shards_name",
    "open_address",
    "open_collections",
    "pack",
    "provenance",
    "validate",
    "write",
]
