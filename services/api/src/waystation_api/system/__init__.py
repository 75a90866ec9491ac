"""SystemService: the installation at one moment, and the flow of its events."""
