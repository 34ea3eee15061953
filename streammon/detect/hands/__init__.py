"""Hands and what they show."""
