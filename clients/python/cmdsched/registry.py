"""Which class is which command type."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from . import codec
from .errors import UnknownCommandError

C = TypeVar("C", bound=type)


class CommandRegistry:
    """Knows the commands of an application: dataclasses or pydantic models.

    A class is registered as its own name, in the module that it is defined in::

        registry = CommandRegistry()

        @registry.register
        @dataclass
        class SendReminder:
            order_id: str
    """

    def __init__(self) -> None:
        self._classes: dict[tuple[str, str], type] = {}
        self._names: dict[type, tuple[str, str]] = {}

    @overload
    def register(self, cls: C) -> C: ...

    @overload
    def register(
        self, cls: None = None, *, command_type: str | None = None, command_module: str | None = None
    ) -> Callable[[C], C]: ...

    def register(
        self, cls: Any = None, *, command_type: str | None = None, command_module: str | None = None
    ) -> Any:
        """Register a class; with or without arguments a decorator.

        Args:
            cls: A dataclass or a pydantic model.
            command_type: Name of the type, where it is not the class's.
            command_module: Name space of the type, where it is not the class's module:
                for a class that has moved, or that programs in other languages share.

        Returns:
            The class.

        Raises:
            TypeError: It is neither a dataclass nor a pydantic model.
            ValueError: Another class, or this one under another name, is registered already.
        """
        if cls is None:
            return lambda decorated: self._add(decorated, command_type, command_module)
        return self._add(cls, command_type, command_module)

    def _add(self, cls: C, command_type: str | None, command_module: str | None) -> C:
        if not codec.is_command_class(cls):
            raise TypeError(f"{cls!r} is neither a dataclass nor a pydantic model")
        name = (
            cls.__name__ if command_type is None else command_type,
            cls.__module__ if command_module is None else command_module,
        )
        if self._classes.get(name, cls) is not cls or self._names.get(cls, name) != name:
            raise ValueError(f"{name[0]} of {name[1]!r} and {cls!r} are registered otherwise already")
        self._classes[name] = cls
        self._names[cls] = name
        return cls

    @property
    def command_types(self) -> list[str]:
        """The registered types, without their modules."""
        return sorted({command_type for command_type, _ in self._classes})

    def name_of(self, command: object) -> tuple[str, str]:
        """Return the command_type and command_module of a command.

        Raises:
            UnknownCommandError: Its class is not registered.
        """
        try:
            return self._names[type(command)]
        except KeyError:
            raise UnknownCommandError(f"{type(command)!r} is not registered: use registry.register()") from None

    def knows(self, command_type: str, command_module: str) -> bool:
        """Tell whether a class is registered for the type."""
        return (command_type, command_module) in self._classes

    def load(self, command_type: str, command_module: str, command_data: str) -> Any:
        """Make the command again.

        Args:
            command_type: Its type.
            command_module: Name space of the type.
            command_data: Its fields, in JSON.

        Raises:
            UnknownCommandError: No class is registered for the type.
            Exception: The fields do not fit the class.
        """
        try:
            cls = self._classes[command_type, command_module]
        except KeyError:
            raise UnknownCommandError(f"no class is registered for {command_type} of {command_module!r}") from None
        return codec.load(cls, command_data)
