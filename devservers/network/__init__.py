"""An HTTP proxy, and a server that plays answers byte by byte."""
