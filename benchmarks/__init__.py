"""
Benchmarks, one command each; see README.rst.
"""
