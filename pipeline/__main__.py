"""`python -m pipeline` is `alife`."""

from pipeline.cli import main

main()
