"""The regulator's end: institutions, the intake of batches, their answers, the validation log, and who fell silent."""
