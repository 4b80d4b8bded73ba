"""The version of deadstop, read by the build and by `deadstop.__version__`."""

__version__ = "0.1.0"
