"""What either end keeps about its work: the only truth about what was done and what is still to do."""
