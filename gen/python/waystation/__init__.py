"""The generated contract of Waystation, and nothing else."""
