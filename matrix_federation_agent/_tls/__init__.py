"""
TLS: which roots are trusted, and the check that no connection escapes.
"""
