"""The HTTP client of all remote APIs; ``client.Client`` sends one request at a time.

`requests` prepares a request and its adapter carries it. Under the adapter one deadline covers all
steps, from the look-up of a name to the last byte, and what has arrived counts: once a status line
has come, nothing after it takes the answer back. No text of this package names a URL.
"""
