"""`python -m libws`: the command of the C library, in Python.

Options, output and exit statuses are the same, and man libws holds for both;
only --workers makes processes here, where it makes threads there.
"""
