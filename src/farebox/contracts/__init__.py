"""The published language: the shapes that the server and other people's programs share.

Requests refuse unknown fields. Readers of answers ignore them, so that answers may grow.
"""
