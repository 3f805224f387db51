"""The library as a scikit-learn estimator."""

from duobiao.estimator.classifier import DuobiaoClassifier

__all__ = ["DuobiaoClassifier"]
