"""
The gateway: requests of others, forwarded by the agent.
"""
