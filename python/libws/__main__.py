"""`python -m libws connect|serve|bench`."""

import sys

from ._command.main import main

sys.exit(main(sys.argv[1:]))
