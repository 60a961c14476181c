"""What ``serving/server.py`` needs to boot a real server in a process of its own and hear of its streams."""
