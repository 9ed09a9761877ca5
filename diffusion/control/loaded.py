"""What the networks that guide a picture have in common once their weights are in place."""

from __future__ import annotations

from abc import ABC, abstractmethod


class LoadedControl(ABC):
    """A control network or a T2I-Adapter on its device."""

    @property
    @abstractmethod
    def bytes(self) -> int:
        """The size of its weights."""
