"""Reading label files for people: summaries, statistics, matches of a query, pairs as text."""
