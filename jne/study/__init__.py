"""One analysis from data to result, its refits, several subjects, the report."""
