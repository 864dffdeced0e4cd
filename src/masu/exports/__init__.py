"""A detector as one graph of tensors: any batch, any size, nothing decided by Python at run time.

``graph`` is the detector, made of tensors and the three operators of :mod:`masu.ops.operators`, which no
graph language has as such; ``onnx_operators`` is their translation to standard ONNX.
"""
