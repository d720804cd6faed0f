"""Which headings of a dataset should not be trusted: near pairs, tracks, the summary and the plot."""
