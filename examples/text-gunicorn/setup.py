"""The package `app`, installed in place by the Dockerfile."""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="text-gunicorn",
    version="1.0.0",
    packages=find_packages(include=["app", "app.*"]),
    python_requires=">=3.11",
    install_requires=Path(__file__).with_name("requirements.txt").read_text().split(),
)
