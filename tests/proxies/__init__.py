"""
Tests with proxies.
"""
