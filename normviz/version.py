"""The version, in a file that is read without importing the package."""

VERSION = "0.1.0"
