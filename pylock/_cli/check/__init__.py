"""``pylock check``: whether a directory is fit for locks."""
