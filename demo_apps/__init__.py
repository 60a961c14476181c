"""Small apps that stream, one a framework, and a zoo of stacks that hold or lose what they stream.

Run everything from the root of the repository; each module's docstring gives its command.
"""
