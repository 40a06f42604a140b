"""pyproject.toml says all but this: an editable installation shall have the data files too."""

from setuptools import Distribution, setup


class WithDataFiles(Distribution):
    def has_data(self) -> bool:
        """What setuptools (84.2) asks before it installs them, and defines under another name: has_data_files."""
        return bool(self.data_files)


setup(distclass=WithDataFiles)
