"""How registered entries are run, stored and ranked. Importing this package loads no torch."""
