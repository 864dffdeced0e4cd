"""A detector as one graph of tensors: any batch, any size, nothing decided by Python at run time.

In the order in which data flows: ``operators`` has the three operations that no graph language has as such,
``graph`` the detector made of them, ``onnx_operators`` their translation to standard ONNX.
"""
