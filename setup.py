"""
Packaging of matrix_federation_agent.
"""

from __future__ import annotations

from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent

# For the version alone; importing the package would need its dependencies.
version: dict[str, str] = {}
exec((HERE / "matrix_federation_agent" / "_version.py").read_text(), version)  # noqa: S102

# trustme: the private certificate authority of the loopback federation.
TESTING = ["trustme>=1.2.0"]
# The memory that several machines share.
REDIS = ["txredisapi>=1.4.10"]
# Counters for Prometheus.
METRICS = ["prometheus_client>=0.14.1"]

# What the package is measured against beyond Twisted, and what draws the charts.
BENCHMARKS = [*TESTING, "aiohttp>=3.10", "matplotlib>=3.9"]

setup(
    name="matrix_federation_agent",
    version=version["__version__"],
    description="A Twisted IAgent for requests to other Matrix servers",
    long_description=(HERE / "README.rst").read_text("utf-8"),
    long_description_content_type="text/x-rst",
    license="MIT",
    license_files=["LICENSE"],
    author="The matrix_federation_agent authors",
    python_requires=">=3.11",
    packages=[
        "matrix_federation_agent",
        "matrix_federation_agent._cli",
        "matrix_federation_agent._connect",
        "matrix_federation_agent._discovery",
        "matrix_federation_agent._gateway",
        "matrix_federation_agent._http",
        "matrix_federation_agent._policies",
        "matrix_federation_agent._tls",
        "matrix_federation_agent.stores",
        "matrix_federation_agent.testing",
        # No __init__.py goes with it: it would overwrite Twisted's.
        "twisted.plugins",
    ],
    package_data={"matrix_federation_agent": ["py.typed"]},
    install_requires=[
        "Twisted[tls]>=24.7.0",
        "service_identity>=23.1.0",
        "pyOpenSSL>=24.1.0",
        "treq>=23.11.0",
        "attrs>=22.2.0",
    ],
    extras_require={
        # The demo is the test kit, watched.
        "demo": TESTING,
        "testing": TESTING,
        "redis": REDIS,
        "metrics": METRICS,
        # hypothesis: hostile input for the parsers.
        "test": [*TESTING, *REDIS, *METRICS, "hypothesis>=6.100"],
        "benchmarks": BENCHMARKS,
        "docs": ["sphinx>=7.4"],
        # mypy reads the benchmarks too.
        "lint": [
            *BENCHMARKS,
            "ruff>=0.17,<0.18",
            "mypy>=2.0",
            "mypy-zope>=1.0.17",
            "check-manifest>=0.50",
            "towncrier>=24.8",
        ],
    },
    entry_points={"console_scripts": ["matrix-federation = matrix_federation_agent.__main__:main"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Framework :: Twisted",
        "Intended Audience :: Developers",
        "Intended Audience :: System Administrators",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
        "Topic :: Communications :: Chat",
        "Topic :: Internet :: WWW/HTTP",
        "Typing :: Typed",
    ],
    zip_safe=False,
)
