"""Model bundles: safe reading and writing, transforms, the pipeline runner, metrics."""
