"""Which headings of a dataset should not be trusted: along tracks, and between nearby cameras."""
