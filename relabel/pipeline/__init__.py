"""From a dataset to a label file, in parts: planning, executors, resuming, verifying."""
