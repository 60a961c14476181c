"""Boot a real app server in a process of its own. The code of that process is in ``child/``."""
