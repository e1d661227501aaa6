"""Two-phase volumes: what they are, their statistics, how they are named, how a scan becomes one."""
