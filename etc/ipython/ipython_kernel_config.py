# Installed with the course into its environment (pyproject.toml, data-files): IPython reads it before a kernel's first cell.
# Until helpers.start() has run, every SDK in the kernel is refused, whatever keys the shell holds.
from helpers.kernel import guard

guard()
