"""What API and routers measure, and the port at which Prometheus reads it. `definitions` has every metric; it must
not import store, broker or decisions: they are told nothing of metrics."""
