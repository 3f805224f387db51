"""The kinds of bundles that run with PyTorch, and the module that each one fills; imports nothing."""

TORCH_KINDS = {
    "encoder": "duobiao.models.encoder:EncoderClassifier",
    "bigru": "duobiao.models.bigru:BiGRUClassifier",
}
"""``kind`` of a bundle to ``module:class``; the class has ``from_bundle(settings, labels)``."""
