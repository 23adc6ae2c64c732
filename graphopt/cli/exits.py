"""Exit codes: the documented answers of the program to whoever called it."""

DONE = 0
FAILED = 1
"""A check failed: the result is wrong or breaks a limit, or two models do not agree."""
USAGE = 2
"""Usage, or input that cannot be read; nothing was written."""
INCOMPLETE = 3
"""Done, but something was rolled back or unverified, and that matters to the caller (--strict)."""
BUG = 70
"""Something that nobody foresaw."""
INTERRUPTED = 130
"""What the shell calls 128 + SIGINT."""
