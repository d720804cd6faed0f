"""Which headings of a dataset should not be trusted: along tracks, and of cameras that stand near each other."""
