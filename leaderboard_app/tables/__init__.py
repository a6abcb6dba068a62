"""Rows → the tables that a page shows or draws, as pure functions; a module a page, and what pages
share.
"""
