#!/usr/bin/env python3
"""Hold the values of an output file against a JSON Schema.

usage: validate.py SCHEMA.json OUTPUT.ndjson
"""
import json
import sys

import jsonschema


def main():
    schema = json.load(open(sys.argv[1]))
    validator = jsonschema.Draft202012Validator(schema)
    bad = count = 0
    for number, line in enumerate(open(sys.argv[2]), 1):
        count += 1
        for error in validator.iter_errors(json.loads(line)["value"]):
            bad += 1
            if bad <= 5:
                print(f"line {number}: {'/'.join(map(str, error.path))}: {error.message[:200]}")
    print(f"{count} records, {bad} findings")
    sys.exit(bool(bad or not count))


main()
