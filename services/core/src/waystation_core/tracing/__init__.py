"""Traces: who called whom, by W3C trace contexts, sent to a collector by OpenTelemetry's protocol."""
