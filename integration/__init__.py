"""
The package among programs that are not ours; see README.rst.
"""
