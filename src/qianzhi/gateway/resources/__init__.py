"""Data that no hospital system holds: people keep it by form and by workbook; it is submitted as every other row."""
