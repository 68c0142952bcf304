"""A node's own tests need neither Django's database nor its Redis, passwords or files."""

from tests.clusters.without_portal import _nothing_left_over, _quick_passwords, files_dir

__all__ = ["_nothing_left_over", "_quick_passwords", "files_dir"]
