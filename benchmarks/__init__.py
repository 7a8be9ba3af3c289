"""`make bench`: what the workers cost, beside the least that the same work can cost.

Imports come from the checkout and from tests/, whose servers and rows it uses.
"""
