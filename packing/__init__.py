"""Clean documents -> rows of tokens -> the order of rows."""
