#include "CText.h"

#include <charconv>
#include <cmath>
#include <cstring>

/// The shortest text of a number from 0.0001 to `below`, where other notations begin.
template <typename Number> static size_t writePlain(Number value, Number below, char *text) {
    if (!(std::fabs(value) >= static_cast<Number>(0.0001) && std::fabs(value) < below)) return 0;
    // d.ddde±dd, the shortest that reads back, and of those the nearest.
    char shortest[32];
    const char *end =
        std::to_chars(shortest, shortest + sizeof shortest, value, std::chars_format::scientific).ptr;
    const char *at = shortest;
    char *out = text;
    if (*at == '-') *out++ = *at++;
    const char *mark = end - 4;
    int exponent = (mark[2] - '0') * 10 + (mark[3] - '0');
    if (mark[1] == '-') exponent = -exponent;
    char digits[20];
    digits[0] = *at;
    size_t count = 1;
    if (at[1] == '.') {
        memcpy(digits + 1, at + 2, static_cast<size_t>(mark - at - 2));
        count = static_cast<size_t>(mark - at - 1);
    }
    if (exponent < 0) {
        memcpy(out, "0.000", 5);
        out += 1 - exponent;
        memcpy(out, digits, count);
        return static_cast<size_t>(out + count - text);
    }
    size_t whole = static_cast<size_t>(exponent) + 1;
    // Whole numbers are written as such.
    if (count <= whole) return 0;
    memcpy(out, digits, whole);
    out[whole] = '.';
    memcpy(out + whole + 1, digits + whole, count - whole);
    return static_cast<size_t>(out + count + 1 - text);
}

size_t tm_write_scientific(double value, char *text) {
    return static_cast<size_t>(
        std::to_chars(text, text + 32, value, std::chars_format::scientific).ptr - text);
}

size_t tm_json_write_number(double value, char *text) { return writePlain(value, 9007199254740992.0, text); }

size_t tm_json_write_float(float value, char *text) { return writePlain(value, 16777216.0f, text); }
