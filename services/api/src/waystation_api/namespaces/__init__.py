"""NamespaceService, and the limits of namespaces at the door."""
