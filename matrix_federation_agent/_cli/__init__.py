"""
The command C{matrix-federation}.
"""
