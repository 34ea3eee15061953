"""Finds contacts and links in lines of text: numbers, accounts, e-mail and web addresses. Pure, no network."""
