"""
Tests of the gateway.
"""
