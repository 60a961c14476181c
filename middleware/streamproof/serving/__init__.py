"""Boots a real app server in a process of its own. What runs in that process is in ``child/``."""
