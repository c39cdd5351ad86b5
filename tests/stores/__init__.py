"""
Tests of the discovery stores.
"""
