"""How bytes stand in a Swift file."""


def swift_bytes(data):
    text = data.hex()
    lines = [text[i : i + 88] for i in range(0, len(text), 88)] or [""]
    return '"""\n' + "".join(f"            {line}\\\n" for line in lines[:-1]) + (
        f'            {lines[-1]}\n            """'
    )
