"""`python -m graphopt.cli`: the command line of the package that this interpreter sees."""

from graphopt.cli import main

main()
