"""`python -m normviz`."""

import sys

try:
    from normviz.cli import main

    sys.exit(main())
except KeyboardInterrupt:
    # Ctrl-C while the libraries are loaded: nothing has begun.
    sys.exit(130)
