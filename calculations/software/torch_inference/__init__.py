"""Inference with torch over N ranks."""

from calculations.software.torch_inference.plugin import TorchInference

__all__ = ["TorchInference"]
