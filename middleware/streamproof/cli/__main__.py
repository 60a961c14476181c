"""Runs the command line: ``python -m streamproof.cli``."""

import sys

from . import main

sys.exit(main())
