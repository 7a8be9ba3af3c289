"""A whole environment on loopback for `make run` and the tests: servers, live tables, data.

Nothing of this is installed on a VM; it runs from the checkout.
"""
