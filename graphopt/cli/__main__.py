"""`python -m graphopt.cli`: the command line of the package that this interpreter sees."""

from graphopt.cli.app import main

main()
