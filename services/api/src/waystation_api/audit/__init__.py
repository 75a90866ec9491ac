"""Who changed what, and whose calls were denied: what is recorded of a call, and AuditService."""
