"""
Connections: to which addresses, in which order, verified, and kept.
"""
