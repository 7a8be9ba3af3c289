"""Servers that ask for TLS and logins, and the certificates for them."""
