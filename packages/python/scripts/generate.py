"""Writes src/roomful/schemas.py and src/roomful/api.py from docs/openapi.json."""

from __future__ import annotations

import json
import pathlib
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = HERE.parent / "src" / "roomful"
DESCRIPTION = HERE.parents[2] / "docs" / "openapi.json"
PREFIX = "/api/v1/"
WIDTH = 108
SIMPLE = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
IDEMPOTENCY = {"postMessage": "clientId", "postNotification": "id"}
"""Calls that the server carries out once for each value of a field. The client fills in the field."""
REPEATABLE_POSTS = {"disconnectUser", "revokeUser"}
"""Other POST calls that may be repeated after a lost answer."""
SLOW = {"eraseUser": 300}
"""Calls that the server works on for long, with the seconds that an attempt gets at least."""
LINES = "application/x-ndjson"
HEADER = """\
\"\"\"{}. Written by scripts/generate.py from docs/openapi.json.\"\"\"

from __future__ import annotations

"""


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def one_line(text: str) -> str:
    return " ".join(text.split())


def wrapped(text: str, indent: int) -> list[str]:
    return textwrap.wrap(one_line(text), WIDTH - indent)


def type_of(schema: dict[str, Any], prefix: str = "") -> str:
    """The Python type of a JSON schema. `prefix` stands before the names of schemas."""
    if "$ref" in schema:
        return prefix + str(schema["$ref"]).rsplit("/", 1)[1]
    for key in ("oneOf", "anyOf"):
        if key in schema:
            parts = dict.fromkeys(type_of(one, prefix) for one in schema[key])
            return " | ".join(sorted(parts, key="None".__eq__))
    if "enum" in schema:
        return f"Literal[{', '.join(json.dumps(one) for one in schema['enum'])}]"
    kinds = schema.get("type")
    if isinstance(kinds, list):
        return " | ".join(
            sorted((type_of({**schema, "type": kind}, prefix) for kind in kinds), key="None".__eq__)
        )
    if kinds == "null":
        return "None"
    if kinds == "array":
        return f"list[{type_of(schema.get('items', {}), prefix)}]"
    if kinds == "object":
        return "dict[str, Any]"
    return SIMPLE.get(str(kinds), "Any")


# ---- schemas.py


def schema_class(name: str, schema: dict[str, Any]) -> Iterator[str]:
    if "enum" in schema:
        yield f"{name} = {type_of(schema)}"
        yield f'"""{one_line(schema.get("description", ""))}"""'
        return
    parts = schema.get("allOf", [schema])
    bases = [type_of(part) for part in parts if "$ref" in part] or ["TypedDict"]
    yield f"class {name}({', '.join(bases)}):"
    yield from docstring(schema.get("description", name), 4)
    for part in parts:
        required = part.get("required", [])
        for field, of in part.get("properties", {}).items():
            kind = type_of(of)
            yield ""
            yield f"    {field}: {kind if field in required else f'NotRequired[{kind}]'}"
            if "description" in of:
                yield from docstring(of["description"], 4)


def docstring(text: str, indent: int) -> Iterator[str]:
    pad = " " * indent
    if len(one_line(text)) <= WIDTH - indent - 6:
        yield f'{pad}"""{one_line(text)}"""'
        return
    lines = wrapped(text, indent + 3)
    yield f'{pad}"""{lines[0]}'
    yield from (pad + line for line in lines[1:])
    yield f'{pad}"""'


def order(schemas: dict[str, Any]) -> Iterator[str]:
    """The names of schemas, each after those that it extends or, for an alias, names."""
    done: set[str] = set()

    def visit(name: str) -> Iterator[str]:
        if name in done:
            return
        done.add(name)
        for part in schemas[name].get("allOf", []):
            if "$ref" in part:
                yield from visit(type_of(part))
        yield name

    for name in schemas:
        yield from visit(name)


def schemas_file(description: dict[str, Any]) -> str:
    schemas = description["components"]["schemas"]
    text = HEADER.format("The values of the HTTP API, with the names of its JSON")
    text += "from typing import Any, Literal, NotRequired, TypedDict\n"
    for name in order(schemas):
        text += "\n\n" + "\n".join(schema_class(name, schemas[name])) + "\n"
    return text


# ---- api.py


@dataclass(frozen=True)
class Operation:
    """A call of the API."""

    id: str
    method: str
    path: str
    summary: str
    names: list[dict[str, Any]]
    """The parameters in the path."""
    query: list[dict[str, Any]]
    fields: dict[str, Any]
    required: list[str]
    sends_body: bool
    answer: str
    items: tuple[str, str] | None
    """For a list in pages: the field with the items, and their type."""
    lines: bool
    """Whether the answer is one JSON object a line."""


def operations(description: dict[str, Any]) -> Iterator[Operation]:
    schemas = description["components"]["schemas"]
    for path, methods in description["paths"].items():
        if not path.startswith(PREFIX):
            continue
        shared = methods.get("parameters", [])
        for method, call in methods.items():
            if method == "parameters":
                continue
            parameters = shared + call.get("parameters", [])
            media = call.get("requestBody", {}).get("content", {}).get("application/json")
            body = {} if media is None else resolve(media["schema"], schemas)
            ok = next(one for status, one in call["responses"].items() if status.startswith("2"))
            answer = next(iter(ok["content"].values()))["schema"] if "content" in ok else {}
            query = [one for one in parameters if one["in"] == "query"]
            yield Operation(
                id=call["operationId"],
                method=method.upper(),
                path=path.removeprefix(PREFIX),
                summary=call.get("description") or call.get("summary") or call["operationId"],
                names=[one for one in parameters if one["in"] == "path"],
                query=[one for one in query if one["name"] != "cursor"],
                fields=body.get("properties", {}),
                required=body.get("required", []),
                sends_body=media is not None,
                answer=type_of(answer, "schemas."),
                items=items_of(answer, query, schemas),
                lines=LINES in ok.get("content", {}),
            )


def resolve(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """The object schema behind a reference, or behind a choice with `null`."""
    if "$ref" in schema:
        return dict(schemas[type_of(schema)])
    for one in schema.get("oneOf", []):
        if one.get("type") != "null":
            return resolve(one, schemas)
    return schema


def items_of(
    answer: dict[str, Any], query: list[dict[str, Any]], schemas: dict[str, Any]
) -> tuple[str, str] | None:
    if not any(one["name"] == "cursor" for one in query):
        return None
    properties = resolve(answer, schemas)["properties"]
    field = next(name for name, of in properties.items() if of.get("type") == "array")
    return field, type_of(properties[field]["items"], "schemas.")


def method(call: Operation, is_async: bool) -> Iterator[str]:
    optional = "{} | Unset = UNSET"
    arguments = ["self", *(f"{snake(one['name'])}: {type_of(one['schema'])}" for one in call.names)]
    keywords: list[str] = []
    values = [(field, of, field in call.required) for field, of in call.fields.items()]
    values += [(one["name"], one.get("schema", {}), one.get("required", False)) for one in call.query]
    # The required ones come first.
    for name, of, is_required in sorted(values, key=lambda value: not value[2]):
        kind = type_of(of, "schemas.")
        keywords.append(f"{snake(name)}: {kind if is_required else optional.format(kind)}")
    if keywords:
        arguments += ["*", *keywords]
    # A generator is called without `await`.
    before = "async def" if is_async and not call.lines else "def"
    items = "dict[str, Any]" if call.lines else call.items and call.items[1]
    answer = f"{'AsyncIterator' if is_async else 'Iterator'}[{items}]" if items else call.answer
    signature = f"    {before} {snake(call.id)}({', '.join(arguments)}) -> {answer}:"
    if len(signature) <= WIDTH:
        yield signature
    else:
        yield f"    {before} {snake(call.id)}("
        yield from (f"        {argument}," for argument in arguments)
        yield f"    ) -> {answer}:"
    yield from docstring(call.summary + (" Fetches pages on demand." if call.items else ""), 8)
    yield from body(call, "await " if is_async else "")


def body(call: Operation, wait: str) -> Iterator[str]:
    template = re.sub(r"\{[^}]*\}", "{}", call.path)
    where = ", ".join([json.dumps(template), *(snake(one["name"]) for one in call.names)])
    key = IDEMPOTENCY.get(call.id)
    query = ", ".join(f"{one['name']}={snake(one['name'])}" for one in call.query)
    fields = []
    for field in call.fields:
        value = snake(field)
        given = f"str(uuid4()) if {value} is UNSET else {value}" if field == key else value
        fields.append(f"{field}={given}")
    repeatable = call.method != "POST" or key is not None or call.id in REPEATABLE_POSTS
    if fields:
        yield from assignment("        fields = given", ", ".join(fields))
    sent = "fields" if fields else "{}" if call.sends_body else "None"
    at_least = f", at_least={SLOW[call.id]}" if call.id in SLOW else ""
    send = f'Call("{call.method}", path({where}), {{}}, {sent}, {repeatable}{at_least})'
    if call.lines:
        yield from assignment("        return self._lines", send)
        return
    if not call.items:
        send = send.replace("{}, ", f"given({query}), ", 1) if query else send
        yield from assignment(f"        answer: {call.answer} = {wait}self._send", send)
        yield "        return answer"
        return
    yield "        cursor: str | None | Unset = UNSET"
    yield "        while True:"
    yield f"            query = given({query}{', ' if query else ''}cursor=cursor)"
    page = f"            page: {call.answer} = {wait}self._send"
    yield from assignment(page, send.replace("{}, ", "query, ", 1))
    yield f'            for item in page["{call.items[0]}"]:'
    yield "                yield item"
    yield '            cursor = page.get("next")'
    yield "            if not cursor:"
    yield "                return"


def assignment(call: str, argument: str) -> Iterator[str]:
    """A call with one argument, on three lines if it is too long for one."""
    if len(call) + len(argument) + 2 <= WIDTH:
        yield f"{call}({argument})"
        return
    indent = " " * (len(call) - len(call.lstrip()))
    yield f"{call}("
    yield f"{indent}    {argument}"
    yield f"{indent})"


def every_message(is_async: bool) -> list[str]:
    """A generator over all messages of a room, which `readMessages` gives in pages."""
    before, wait, kind = ("async def", "await ", "AsyncIterator") if is_async else ("def", "", "Iterator")
    return [
        f"    {before} all_messages(self, room: str, *, after: int = 0) -> {kind}[schemas.Message]:",
        '        """All messages of a room after a seq, oldest first. Fetches pages on demand."""',
        "        while True:",
        f"            page = {wait}self.read_messages(room, after=after)",
        '            for message in page["messages"]:',
        "                yield message",
        '            after = page["upTo"]',
        '            if not page["moreAfter"]:',
        "                return",
    ]


def every_record(is_async: bool) -> list[str]:
    """A generator over all records of the audit log, which `listAudit` gives in pages."""
    before, wait, kind = ("async def", "await ", "AsyncIterator") if is_async else ("def", "", "Iterator")
    return [
        f"    {before} all_audit(",
        "        self, *, after: int = 0, actor: str | Unset = UNSET, action: str | Unset = UNSET",
        f"    ) -> {kind}[schemas.AuditItem]:",
        '        """All records of the audit log after an id, oldest first. Fetches pages on demand."""',
        "        while True:",
        f"            page = {wait}self.list_audit(after=after, actor=actor, action=action)",
        '            for record in page["records"]:',
        "                yield record",
        '                after = record["id"]',
        '            if not page["more"] or not page["records"]:',
        "                return",
    ]


def api_file(description: dict[str, Any]) -> str:
    calls = list(operations(description))
    text = HEADER.format("The clients: one method for each call of the HTTP API")
    text += "from collections.abc import AsyncIterator, Iterator\nfrom typing import Any, Literal\n"
    text += "from uuid import uuid4\n\n"
    text += "from . import schemas\n"
    text += "from .calls import UNSET, AsyncCaller, Call, SyncCaller, Unset, given, path\n"
    for name, base, is_async in [("Roomful", "SyncCaller", False), ("AsyncRoomful", "AsyncCaller", True)]:
        what = "A client of a server's HTTP API" + (", for asyncio" if is_async else "")
        text += f'\n\nclass {name}({base}):\n    """{what}. Failed calls raise `RoomfulError`."""\n'
        for call in calls:
            text += "\n" + "\n".join(method(call, is_async)) + "\n"
        for lines in (every_message(is_async), every_record(is_async)):
            text += "\n" + "\n".join(lines) + "\n"
    return text


def main() -> None:
    description = json.loads(DESCRIPTION.read_text())
    files = {PACKAGE / "schemas.py": schemas_file(description), PACKAGE / "api.py": api_file(description)}
    for path, text in files.items():
        path.write_text(text)


if __name__ == "__main__":
    main()
