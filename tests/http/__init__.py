"""
Tests of C{matrix_federation_agent._http}.
"""
