"""Texts in quotes, for cards and their metadata."""

from __future__ import annotations

import json


def literal(text: str) -> str:
    """A quoted text that both YAML and Python can read."""
    return escaped(json.dumps(text, ensure_ascii=False))


def escaped(text: str) -> str:
    """A text with invisible characters escaped, because some reverse the direction of the text that follows."""
    return "".join(
        c if c.isprintable() else f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}" for c in text
    )
