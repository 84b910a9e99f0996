"""Vendors: where a call goes, what it shows there, and how its refusals are read; one small file each."""
