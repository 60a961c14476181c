"""Small apps that stream, one per framework, and a zoo of stacks that hold or lose their streams.

Run them from the root of the repository. The docstring of each module has its command.
"""
