"""In front of an official machine: its tables, its image folder, and what its console says afterwards."""
