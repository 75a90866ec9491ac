"""Messages and services of `waystation.v1`, generated from `proto/waystation/v1`."""
