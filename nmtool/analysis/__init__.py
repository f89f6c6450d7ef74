"""Estimators of information, in numpy alone: how many bits noise leaves.

Throughout, X is drawn with equal probability from the given samples, and nothing here speaks about others.
"""
