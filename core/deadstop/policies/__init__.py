"""Judges that ship with deadstop, one file each. They come through the same hooks as a stranger's."""
