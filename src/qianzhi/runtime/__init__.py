"""What every process of either end stands on: home folder, settings, logs, supervisor, certificates, clock."""
