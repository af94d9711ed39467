"""Open Inference Protocol v2: the nets of a model as `<name>.locate` and `<name>.segment`; tensors in, logits out."""
