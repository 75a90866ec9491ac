"""SystemService: the state of the installation, and the flow of its events."""
