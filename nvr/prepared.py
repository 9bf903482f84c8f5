"""Queries that run with every request, compiled once.

Django builds the same SQL anew for each queryset, which costs several times what the database takes to answer a
look-up by key. Here a queryset is compiled at its first use; later calls only bind the value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import connection, models

ModelT = TypeVar("ModelT", bound=models.Model)
VALUE = "\ufdd0"  # stands for the value: a noncharacter, which no query holds otherwise


@dataclass(frozen=True)
class Statement:
    """A compiled queryset: its SQL, the parameters with `VALUE` among them, and how columns become values."""

    sql: str
    parameters: tuple[Any, ...]
    converters: dict[int, Any]
    model: Any
    related: Any


class PreparedGet(Generic[ModelT]):
    """The first row of `build(value)`, with what it selects along; `value` is a text.

    Signals and deferred fields are not for it: what it returns is what `QuerySet.first()` would.
    """

    def __init__(self, build: Callable[[str], models.QuerySet[ModelT]], related: str | None = None) -> None:
        self.build, self.related = build, related
        self._statement: Statement | None = None

    def get(self, value: str) -> ModelT | None:
        statement = self._statement or self._prepared()
        bound = [value if parameter == VALUE else parameter for parameter in statement.parameters]
        with connection.cursor() as cursor:
            cursor.execute(statement.sql, bound)
            row = cursor.fetchone()
        return None if row is None else self._instance(statement, converted(row, statement.converters))

    def _prepared(self) -> Statement:
        rows = self.build(VALUE).order_by()[:1]
        compiler = rows.query.get_compiler(connection=connection)
        sql, parameters = compiler.as_sql()
        converters = compiler.get_converters([column for column, _, _ in compiler.select])
        related: Any = rows.model._meta.get_field(self.related).related_model if self.related else None
        self._statement = Statement(sql, tuple(parameters), converters, rows.model, related)
        return self._statement

    def _instance(self, statement: Statement, values: list[Any]) -> ModelT:
        names = columns_of(statement.model)
        found: ModelT = statement.model.from_db(connection.alias, names, values[: len(names)])
        if self.related and statement.related:
            others = columns_of(statement.related)
            setattr(found, self.related, statement.related.from_db(connection.alias, others, values[len(names) :]))
        return found


def columns_of(model: type[models.Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]


def converted(row: tuple[Any, ...], converters: dict[int, Any]) -> list[Any]:
    values = list(row)
    for place, (steps, expression) in converters.items():
        for step in steps:
            values[place] = step(values[place], expression, connection)
    return values
