"""The audit of headings as text, as a mask and as a plot."""
