"""Deterministic values for any shape of a botocore model, and their canonical form for comparison."""

import base64
import datetime
import email.utils
import json
import random

TEXTS = ["a", "two words", "é ü ∑ 漢字 🎈", "<&>\"'", "a/b//c", "a+b=c&d", "100%", "x" * 300]
PLAIN = ["a", "two words", "k=v", "a/b", "x-1_2.3~", "100%"]


class Maker:
    """Makes values. `level` is how much is there: 0 what is required, 1 everything, 2 everything with empties."""

    def __init__(self, seed, level, output=False):
        self.random = random.Random(seed)
        self.level = level
        self.output = output

    def structure(self, shape, depth=0):
        if getattr(shape, "is_document_type", False):
            return self.document(depth)
        members = dict(shape.members)
        if getattr(shape, "is_tagged_union", False):
            name = self.random.choice(sorted(members))
            return {name: self.value(members[name], depth + 1)}
        out = {}
        for name, member in members.items():
            if getattr(member, "is_tagged_union", False) and member.serialization.get("eventstream"):
                continue
            if member.serialization.get("eventstream"):
                continue
            required = name in shape.required_members
            if not required and (self.level == 0 or depth > 3):
                continue
            out[name] = self.value(member, depth + 1)
        if not out and depth > 0:
            # The query protocols cannot write an empty structure.
            scalars = [n for n, m in members.items() if m.type_name in ("string", "integer", "boolean")]
            if scalars:
                out[scalars[0]] = self.value(members[scalars[0]], depth + 1)
        return out

    def value(self, shape, depth=0):
        location = shape.serialization.get("location")
        return getattr(self, "of_" + shape.type_name)(shape, depth, location)

    def of_structure(self, shape, depth, location):
        return self.structure(shape, depth)

    def count(self, depth):
        if depth > 4 and self.level == 0:
            return 0
        if self.level == 2 and self.random.random() < 0.3:
            return 0
        return self.random.choice([1, 2, 3]) if depth < 3 else 1

    def of_list(self, shape, depth, location):
        if depth > 6:
            return []
        count = self.count(depth)
        if location:
            return [self.scalar_for_header(shape.member, depth) for _ in range(max(count, 1))]
        return [self.value(shape.member, depth + 1) for _ in range(count)]

    def scalar_for_header(self, shape, depth):
        if shape.type_name == "string" and not shape.enum:
            return self.random.choice(["a", "b-c", "x y"])
        return self.value(shape, depth + 1)

    def of_map(self, shape, depth, location):
        if depth > 6:
            return {}
        out = {}
        for index in range(self.count(depth)):
            if location:
                key = f"key-{index}"
                inner = shape.value
                out[key] = (
                    [self.random.choice(PLAIN)] if inner.type_name == "list" else self.random.choice(PLAIN)
                )
                continue
            key = self.random.choice(shape.key.enum) if shape.key.enum else f"key {index} é"
            out[key] = self.value(shape.value, depth + 1)
        return out

    def of_string(self, shape, depth, location):
        if shape.serialization.get("hostLabel"):
            return "host-label"
        if shape.serialization.get("jsonvalue"):
            return {"a": [1, "é"]}
        if shape.enum:
            return self.random.choice(shape.enum)
        if location in ("header", "headers"):
            return self.random.choice(PLAIN)
        if location == "uri":
            return self.random.choice(["name", "a b", "é", "100%25", "a:b"])
        if self.level == 2 and self.random.random() < 0.2 and not location:
            return ""
        return self.random.choice(TEXTS)

    of_character = of_string

    def of_boolean(self, shape, depth, location):
        return self.random.random() < 0.5

    def of_integer(self, shape, depth, location):
        if location == "statusCode":
            return self.random.choice([200, 201, 202])
        return self.random.choice([0, 1, 7, 2**31 - 1, -(2**31)])

    def of_long(self, shape, depth, location):
        return self.random.choice([0, 1, 2**53 + 1, 2**63 - 1, -(2**63)])

    def of_float(self, shape, depth, location):
        return self.random.choice([0.0, 1.5, -2.25, 1024.0])

    def of_double(self, shape, depth, location):
        return self.random.choice([0.0, 1.5, -2.25, 1e21, 0.1])

    def of_timestamp(self, shape, depth, location):
        seconds = self.random.choice([0, 1, 951782400, 1577836800, 4102444799])
        return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)

    def of_blob(self, shape, depth, location):
        return bytes(self.random.getrandbits(8) for _ in range(self.random.choice([1, 2, 3, 50])))

    def document(self, depth):
        return self.random.choice([{"a": [1, 2.5, None, "é"], "b": {"c": True}}, ["x"], "text", 7, True])


def moment(value):
    """A timestamp in any of AWS's forms as whole seconds."""
    if isinstance(value, (int, float)):
        return round(value)
    if isinstance(value, datetime.datetime):
        return round(value.timestamp())
    if value and value[0].isalpha():
        return round(email.utils.parsedate_to_datetime(value).timestamp())
    return round(datetime.datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp())


def canonical(shape, value, drop=()):
    """The same value whatever side it comes from, without the members whose value is in `drop`."""
    if value is None:
        return None
    kind = shape.type_name
    if shape.serialization.get("jsonvalue"):
        # A text with JSON in it, which botocore shows as what it means.
        return ("json", json.loads(value) if isinstance(value, str) else value)
    if kind == "structure":
        if getattr(shape, "is_document_type", False):
            return ("document", value)
        out = {}
        for name, inner in value.items():
            if name not in shape.members:
                continue
            inner = canonical(shape.members[name], inner, drop)
            if any(inner == nothing and type(inner) is type(nothing) for nothing in drop):
                continue
            out[name] = inner
        return out
    if kind == "list":
        return [canonical(shape.member, inner, drop) for inner in value]
    if kind == "map":
        return {key: canonical(shape.value, inner, drop) for key, inner in value.items()}
    if kind == "timestamp":
        return moment(value)
    if kind == "blob":
        if isinstance(value, str):
            value = base64.b64decode(value)
        return bytes(value)
    if kind in ("float", "double"):
        return float(value)
    return value


def as_json(shape, value):
    """A value as the canonical JSON that `cloudlet_wire::echo` takes."""
    kind = shape.type_name
    if shape.serialization.get("jsonvalue"):
        return json.dumps(value)
    if kind == "structure":
        if getattr(shape, "is_document_type", False):
            return value
        return {name: as_json(shape.members[name], inner) for name, inner in value.items()}
    if kind == "list":
        return [as_json(shape.member, inner) for inner in value]
    if kind == "map":
        return {key: as_json(shape.value, inner) for key, inner in value.items()}
    if kind == "timestamp":
        seconds = round(value.timestamp())
        form = shape.serialization.get("timestampFormat", "").lower()
        if form == "iso8601":
            return value.strftime("%Y-%m-%dT%H:%M:%SZ")
        # botocore calls S3's Expires a timestamp where AWS's own model has a text.
        if form == "rfc822" or shape.name == "Expires":
            return email.utils.format_datetime(value, usegmt=True)
        return seconds
    if kind == "blob":
        return base64.b64encode(value).decode()
    return value
