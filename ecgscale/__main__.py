"""Run the command line as ``python -m ecgscale``."""

from ecgscale.cli import main

main()
