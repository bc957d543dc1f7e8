#!/usr/bin/env python3
"""Writes the shapes of Kafka's messages from the schemas inside its kafka-clients jar.

    python3 tools/shapes.py kafka-clients-4.4.0.jar > src/guard/shapes.txt
    python3 tools/shapes.py --named kafka-clients-4.4.0.jar > ../../compat-tests/differential/schema.txt

The first is what the guard walks. One line a message: key, request or response, API, versions, first flexible version, listeners, then its fields in order.
A field is a type, then `:from-to` if it is not in every version of what it stands in, `?from-to` if it may be null in some
of its versions only, then `@tag` if it is tagged.
A type is a number of bytes (1 2 4 8 16), s string, y bytes, [type] array, {fields} struct, ?{fields} nullable struct.

The second is what the differential tests encode and decode by. There a field is `name:type`, with Kafka's names of
types (struct: {fields}, array: [type]), then `/from-to` versions, `?from-to` versions in which it may be null, `@tag`,
`=default`; versions are left out where they are those of what the field stands in.
"""

import json
import re
import sys
import zipfile

FIXED = {
    "bool": 1, "int8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8, "float64": 8, "uuid": 16,
}
HEADER = "# Written by tools/shapes.py from the schemas in kafka-clients-4.4.0.jar. Do not edit.\n"


def versions_of(text, within):
    """The part of a schema's version range that lies in `within`; None if nothing does."""
    if text == "none":
        return None
    first, dash, last = text.rstrip("+").partition("-")
    low = max(int(first), within[0])
    high = within[1] if text.endswith("+") else min(int(last if dash else first), within[1])
    return (low, high) if low <= high else None


def shape_of(type_name, field, structs, within):
    if type_name.startswith("[]"):
        return "[" + shape_of(type_name[2:], field, structs, within) + "]"
    if type_name in FIXED:
        return str(FIXED[type_name])
    if type_name in ("string", "bytes", "records"):
        return "s" if type_name == "string" else "y"
    fields = field.get("fields") or structs[type_name]
    nullable = "nullableVersions" in field and not field["type"].startswith("[]")
    if nullable and versions_of(field["nullableVersions"], within) != within:
        raise SystemExit(f"{field['name']}: a struct that is nullable in some versions only")
    return ("?" if nullable else "") + "{" + fields_of(fields, structs, within) + "}"


def fields_of(fields, structs, within):
    out = []
    for field in fields:
        versions = versions_of(field["versions"], within)
        if versions is None:
            continue
        text = shape_of(field["type"], field, structs, versions)
        if versions != within:
            text += f":{versions[0]}-{versions[1]}"
        nullable = versions_of(field.get("nullableVersions", "none"), versions)
        if nullable not in (None, versions):
            text += f"?{nullable[0]}-{nullable[1]}"
        if "taggedVersions" in field:
            if versions_of(field["taggedVersions"], within) != versions:
                raise SystemExit(f"{field['name']}: tagged in some of its versions only")
            text += f"@{field['tag']}"
        out.append(text)
    return " ".join(out)


def named_field(field, structs, within):
    """`name:type/versions?nullable@tag=default`; None if the field is in none of the versions."""
    versions = versions_of(field["versions"], within)
    if versions is None:
        return None
    text = f"{field['name']}:{named_type(field['type'], field, structs, versions)}"
    if versions != within:
        text += f"/{versions[0]}-{versions[1]}"
    nullable = versions_of(field.get("nullableVersions", "none"), versions)
    if nullable is not None:
        text += "?" + ("" if nullable == versions else f"{nullable[0]}-{nullable[1]}")
    if "taggedVersions" in field:
        text += f"@{field['tag']}"
    if field.get("default", "") != "":
        text += f"={field['default']}"
    return text


def named_type(type_name, field, structs, within):
    if type_name.startswith("[]"):
        return "[" + named_type(type_name[2:], field, structs, within) + "]"
    if type_name in FIXED or type_name in ("string", "bytes", "records"):
        return type_name
    return "{" + named_fields(field.get("fields") or structs[type_name], structs, within) + "}"


def named_fields(fields, structs, within):
    return " ".join(filter(None, (named_field(field, structs, within) for field in fields)))


def line_of(schema, listeners, fields_of):
    low, high = versions_of(schema["validVersions"], (0, 1000))
    if listeners[schema["apiKey"]]["unstable"]:
        high -= 1
    structs = {struct["name"]: struct["fields"] for struct in schema.get("commonStructs", [])}
    flexible = schema["flexibleVersions"].rstrip("+")
    api = schema["name"].removesuffix("Request").removesuffix("Response")
    head = [schema["apiKey"], schema["type"], api, f"{low}-{high}", flexible]
    where = "+".join(listeners[schema["apiKey"]]["listeners"])
    return " ".join(map(str, head)) + f" {where} " + fields_of(schema["fields"], structs, (low, high))


def main():
    named = sys.argv[1] == "--named"
    schemas = []
    with zipfile.ZipFile(sys.argv[-1]) as jar:
        for name in jar.namelist():
            if re.fullmatch(r"common/message/\w+(Request|Response)\.json", name):
                text = jar.read(name).decode()
                schema = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.M))
                if schema["validVersions"] != "none":
                    schemas.append(schema)
    listeners = {
        schema["apiKey"]: {
            "listeners": schema["listeners"],
            "unstable": schema.get("latestVersionUnstable", False),
        }
        for schema in schemas
        if schema["type"] == "request"
    }
    schemas.sort(key=lambda schema: (schema["apiKey"], schema["type"]))
    sys.stdout.write(HEADER + "".join(line_of(schema, listeners, named_fields if named else fields_of).rstrip() + "\n" for schema in schemas))


main()
