"""What API and router both do after a commit, by the ports alone: announce and give notice.

May import `ports` and `domain`; never `store`, `broker` or `rpc`.
"""
