"""What API and router both do after a commit, through the ports: announce events and send notices.

May import `ports` and `domain`; never `store`, `broker` or `rpc`.
"""
