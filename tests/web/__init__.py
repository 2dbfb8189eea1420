"""Tests of the web room: over a stub at the seam to the client, and over the real client."""
