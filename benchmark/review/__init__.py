"""Submissions: what is asked of one, in its sandbox and outside, before its rows count.

Nothing is imported here: the sandbox loads `inside` before anything else of the benchmark is there.
"""
