"""The kinds of bundles that run with PyTorch, and the module that each one fills; imports nothing."""

TORCH_KINDS = {
    "encoder": "duobiao.models.encoder:EncoderClassifier",
    "bigru": "duobiao.models.bigru:BiGRUClassifier",
    "bilstm": "duobiao.models.bilstm:BiLSTMClassifier",
    "textcnn": "duobiao.models.textcnn:TextCNNClassifier",
    "fastbert": "duobiao.models.fastbert:FastBERT",
    "tinybert": "duobiao.models.encoder:EncoderClassifier",
}
"""``kind`` of a bundle to ``module:class``; the class has ``from_bundle(settings, labels)``."""
