"""A detector over HTTP, on this computer: what the servers of masu share, and those of labelling tools.

Starlette and uvicorn are needed here alone (``pip install 'masu[label]'``).
"""
