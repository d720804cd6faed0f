"""The audit of inputs: guessed conventions, filler values, depth that does not fit the poses, bad headings."""
