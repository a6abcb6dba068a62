"""The registry: what is compared, as data. Importing it loads no torch."""
