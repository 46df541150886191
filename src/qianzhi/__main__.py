"""`python -m qianzhi` is the command line."""

from qianzhi.cli import main

main()
