"""Backups of a whole installation: one private archive, made while runs go on, and restored as a whole."""
