"""The hospital's end: from the staging table to the regulator's receipt, and back to whoever corrects."""
