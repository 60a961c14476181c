"""The process that ``serving/server.py`` boots: it chooses the server, loads the app and reports its recordings."""
