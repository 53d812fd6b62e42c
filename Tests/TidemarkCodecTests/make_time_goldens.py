#!/usr/bin/env python3
"""Writes TimeGoldens.swift: what Python's zoneinfo and datetime.fromisoformat say of times.

Times that clocks show twice, or never, are read with fold=0, as the language documents it.
usage: make_time_goldens.py > TimeGoldens.swift
"""
import datetime as d
import random
import zoneinfo

random.seed(7)
zones = ["Europe/Berlin", "Europe/Dublin", "America/New_York", "America/St_Johns", "America/Sao_Paulo",
         "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Chatham",
         "Africa/Casablanca", "Africa/Cairo", "Antarctica/Troll", "Asia/Tehran", "America/Havana", "UTC"]
utc = d.timezone.utc
lines = []


def ms(naive, zone):
    return int((naive.replace(tzinfo=zone) - d.datetime(1970, 1, 1, tzinfo=utc)) / d.timedelta(milliseconds=1))


def changes(zone):
    """Moments (UTC) at which the offset changes, by bisection between days."""
    day = d.datetime(2000, 1, 1, tzinfo=utc)
    while day.year < 2061:
        after = day + d.timedelta(days=1)
        if day.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
            low, high = day, after
            while high - low > d.timedelta(seconds=1):
                middle = low + (high - low) // 2
                middle = middle.replace(microsecond=0)
                if middle.astimezone(zone).utcoffset() == day.astimezone(zone).utcoffset():
                    low = middle
                else:
                    high = middle
            yield high, day.astimezone(zone).utcoffset(), high.astimezone(zone).utcoffset()
        day = after


for name in zones:
    zone = zoneinfo.ZoneInfo(name)
    locals_ = [d.datetime(2000, 1, 1) + d.timedelta(seconds=random.randrange(60 * 365 * 86400)) for _ in range(6)]
    locals_.append(d.datetime(2199, 7, 1, 12))
    locals_.append(d.datetime(2200, 1, 1, 12))
    found = list(changes(zone))
    for at, before, after in random.sample(found, min(5, len(found))):
        plain = at.replace(tzinfo=None)
        for edge in {plain + before, plain + after}:
            for step in (-1, 0, 1):
                locals_.append(edge + d.timedelta(seconds=step))
        locals_.append(plain + before + (after - before) / 2)
    for local in locals_:
        local = local.replace(microsecond=0)
        lines.append(f"{name} {local.isoformat()} {ms(local, zone)}")

forms = []
for _ in range(24):
    t = d.datetime(2000, 1, 1) + d.timedelta(milliseconds=random.randrange(10 * 365 * 86400 * 1000))
    micro = t.microsecond + random.randrange(1000)
    offset = random.choice(["Z", "+00:00", "+0000", "+00", "-03:30", "+0545", "+14", "-11:00", ""])
    date = random.choice(["%Y-%m-%d", "%Y-%m-%d", "%Y%m%d"])
    blank = random.choice(["T", " "])
    time = random.choice(["%H:%M:%S", "%H:%M:%S", "%H:%M", "%H", "%H%M%S", "%H%M"])
    text = t.strftime(date) + blank + t.strftime(time)
    if "%S" in time:
        text += random.choice(["", f".{micro:06d}", f",{micro:06d}", f".{micro:06d}"[:4]])
    text += offset
    forms.append(text)
forms += ["2024-01-15", "2024-02-29", "2000-12-31", "2024-12-31T23:59:59.999999+00:00"]
for text in forms:
    read = d.datetime.fromisoformat(text.replace(",", "."))
    if read.tzinfo is None:
        read = read.replace(tzinfo=utc)
    # Integers alone: what lies beyond a millisecond is cut off.
    lines.append("ISO " + text.replace(" ", "_") + f" {(read - d.datetime(1970, 1, 1, tzinfo=utc)) // d.timedelta(milliseconds=1)}")

print("/// Made by make_time_goldens.py: a zone and a time of its clocks, or `ISO` and a text with `_` for a blank;")
print("/// then milliseconds since 1970.")
print('let timeGoldens = """')
print("\n".join("    " + line for line in lines))
print('    """')
