"""Queries that run with every request, compiled once.

Django compiles the same SQL for each queryset, which takes several times as long as the database takes for a lookup
by key. Here a queryset is compiled at its first use; later calls only bind the value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

ModelT = TypeVar("ModelT", bound=models.Model)
VALUE = "\ufdd0"  # placeholder for the value: a noncharacter that no query contains


@dataclass(frozen=True)
class Statement:
    """A compiled queryset: its SQL, its parameters including `VALUE`, and the converters of its columns."""

    sql: str
    parameters: tuple[Any, ...]
    converters: dict[int, Any]
    model: Any
    columns: list[str]
    related: Any
    related_columns: list[str]


class PreparedGet(Generic[ModelT]):
    """Returns the first row of `build(value)` with its related object, as `QuerySet.first()` would; `value` is a text.

    Signals and deferred fields are not supported.
    """

    def __init__(self, build: Callable[[str], models.QuerySet[ModelT]], related: str | None = None) -> None:
        self.build, self.related = build, related
        self._statement: Statement | None = None

    def get(self, value: str) -> ModelT | None:
        statement = self._statement or self._prepared()
        database = connections[DEFAULT_DB_ALIAS]
        bound = [value if parameter == VALUE else parameter for parameter in statement.parameters]
        with database.cursor() as cursor:
            cursor.execute(statement.sql, bound)
            row = cursor.fetchone()
        return None if row is None else self._instance(statement, converted(row, statement.converters, database))

    def _prepared(self) -> Statement:
        self._statement = compiled(self.build(VALUE).order_by()[:1], self.related)
        return self._statement

    def _instance(self, statement: Statement, values: list[Any]) -> ModelT:
        names = statement.columns
        found: ModelT = statement.model.from_db(DEFAULT_DB_ALIAS, names, values[: len(names)])
        if self.related and statement.related:
            other = statement.related.from_db(DEFAULT_DB_ALIAS, statement.related_columns, values[len(names) :])
            setattr(found, self.related, other)
        return found


class PreparedList(Generic[ModelT]):
    """Returns all rows of `build()` in order, as `list()` would; the limits of `PreparedGet` apply."""

    def __init__(self, build: Callable[[], models.QuerySet[ModelT]]) -> None:
        self.build = build
        self._statement: Statement | None = None

    def get(self) -> list[ModelT]:
        statement = self._statement or self._prepared()
        database = connections[DEFAULT_DB_ALIAS]
        with database.cursor() as cursor:
            cursor.execute(statement.sql, statement.parameters)
            rows = cursor.fetchall()
        values = (converted(row, statement.converters, database) for row in rows)
        return [statement.model.from_db(DEFAULT_DB_ALIAS, statement.columns, row) for row in values]

    def _prepared(self) -> Statement:
        self._statement = compiled(self.build())
        return self._statement


def compiled(rows: models.QuerySet[Any], related: str | None = None) -> Statement:
    compiler = rows.query.get_compiler(DEFAULT_DB_ALIAS)
    sql, parameters = compiler.as_sql()
    converters = compiler.get_converters([column for column, _, _ in compiler.select])
    model: Any = rows.model._meta.get_field(related).related_model if related else None
    return Statement(sql, tuple(parameters), converters, rows.model, columns_of(rows.model), model, columns_of(model))


def columns_of(model: type[models.Model] | None) -> list[str]:
    return [] if model is None else [field.attname for field in model._meta.concrete_fields]


def converted(row: tuple[Any, ...], converters: dict[int, Any], database: BaseDatabaseWrapper) -> list[Any]:
    values = list(row)
    for place, (steps, expression) in converters.items():
        for step in steps:
            values[place] = step(values[place], expression, database)
    return values
