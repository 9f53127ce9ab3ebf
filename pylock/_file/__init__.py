"""Bytes, text and paths of lock files. The only folder that opens descriptors of them, notes them, and calls fcntl."""
