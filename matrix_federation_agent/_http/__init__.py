"""
HTTP/1.1 (RFC 9112) as a client speaks it: small, strict, and bounded in all
that a server sends.
"""
