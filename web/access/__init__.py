"""Who may open the page, and who acts on it.

``gate`` stands before every request: ``login`` finds out who asks, with a ``link`` or otherwise,
and ``csrf`` makes sure that a form is one of this page.
"""
