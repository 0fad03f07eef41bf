"""Rows -> weights."""
