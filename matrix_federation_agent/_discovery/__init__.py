"""
Discovery: who must answer for a server name, and where they listen.
"""
