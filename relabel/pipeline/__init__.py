"""From a dataset to a label file, in parts: estimates, executors, resuming."""
