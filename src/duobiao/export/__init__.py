"""Bundles for the engine without torch: ONNX graphs, their agreement with PyTorch, int8 behind a quality gate."""
