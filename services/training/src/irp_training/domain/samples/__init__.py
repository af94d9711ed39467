"""From case files to what a network sees: slices and stacks, augmented, and the loss of what was judged."""
