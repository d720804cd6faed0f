"""Recomputing a sample of a label file with a slow oracle, from the dataset if it is available."""
