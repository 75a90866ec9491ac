"""How Waystation behaves when there is very much of one thing. See scale/README.md."""
