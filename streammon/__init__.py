"""streammon: watches live rooms and publishes what breaks the platform's moderation policy."""

__version__ = "0.1.0"
