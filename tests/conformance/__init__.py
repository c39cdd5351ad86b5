"""
The rows of CONFORMANCE.md, over real sockets.
"""
