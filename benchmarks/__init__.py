"""Speed of gradstream against its peers, on the local stack; see README.md. Not part of the package."""
