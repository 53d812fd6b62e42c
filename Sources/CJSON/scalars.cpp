#include "internal.hpp"

#include <charconv>
#include <cmath>
#include <cstdlib>

namespace tidemark {

static inline bool isDigit(uint8_t byte) { return static_cast<uint8_t>(byte - '0') < 10; }

/// The slow and always right way, for what the short one declines.
static int readExactly(const uint8_t *bytes, const uint8_t *end, double *value) {
    const char *first = reinterpret_cast<const char *>(bytes);
    const char *last = reinterpret_cast<const char *>(end);
    auto result = std::from_chars(first, last, *value);
    if (result.ec == std::errc() && result.ptr == last) return TM_JSON_VALUE;
    // Out of range: strtod tells an overflow from an underflow.
    std::string text(first, last);
    *value = std::strtod(text.c_str(), nullptr);
    if (std::isfinite(*value)) return TM_JSON_VALUE;
    *value = NAN;
    return TM_JSON_NON_FINITE;
}

int readNumber(const uint8_t *bytes, const uint8_t *limit, double *value, const uint8_t **end) {
    const uint8_t *at = bytes;
    bool negative = at < limit && *at == '-';
    at += negative;
    const uint8_t *digits = at;
    uint64_t mantissa = 0;
    while (at < limit && isDigit(*at)) mantissa = mantissa * 10 + (*at++ - '0');
    ptrdiff_t digitCount = at - digits;
    if (digitCount == 0 || (digits[0] == '0' && digitCount > 1)) return -1;
    ptrdiff_t exponent = 0;
    if (at < limit && *at == '.') {
        const uint8_t *fraction = ++at;
        while (at < limit && isDigit(*at)) mantissa = mantissa * 10 + (*at++ - '0');
        exponent = fraction - at;
        if (exponent == 0) return -1;
        digitCount -= exponent;
    }
    bool plain = true;
    if (at < limit && (*at | 0x20) == 'e') {
        plain = false;
        ++at;
        if (at < limit && (*at == '+' || *at == '-')) ++at;
        const uint8_t *power = at;
        while (at < limit && isDigit(*at)) ++at;
        if (at == power) return -1;
    }
    *end = at;
    // At most 19 digits cannot have overflowed; up to 2^53 and 10^22 the one division rounds once.
    if (plain && digitCount <= 19 && mantissa <= (1ULL << 53) && exponent >= -22) {
        double magnitude = static_cast<double>(mantissa) / powersOfTen[-exponent];
        *value = negative ? -magnitude : magnitude;
        return TM_JSON_VALUE;
    }
    return readExactly(bytes, at, value);
}

bool readTimeNumber(int kind, const uint8_t *text, size_t length, int64_t *ms) {
    int64_t whole = 0;
    size_t i = length && text[0] == '-', first = i;
    if (length - first <= 18) {
        while (i < length && isDigit(text[i])) whole = whole * 10 + (text[i++] - '0');
        if (i == length && i > first && (text[first] != '0' || i == first + 1)) {
            if (first) whole = -whole;
            *ms = kind == TM_JSON_TIME_MS   ? whole
                  : kind == TM_JSON_TIME_US ? whole / 1000 - (whole % 1000 < 0)
                  : kind == TM_JSON_TIME_NS ? whole / 1000000 - (whole % 1000000 < 0)
                  : whole > INT64_MAX / 1000 || whole < INT64_MIN / 1000 ? INT64_MAX
                                                                          : whole * 1000;
            return true;
        }
    }
    double value;
    int state = tm_json_parse_number(text, length, &value);
    if (state < 0) return false;
    double rounded = kind == TM_JSON_TIME_MS   ? value
                     : kind == TM_JSON_TIME_US ? value / 1e3
                     : kind == TM_JSON_TIME_NS ? value / 1e6
                                               : value * 1e3;
    // The fraction of a second in doubles is off by less than a microsecond: round, then floor.
    rounded = std::floor(rounded + 1e-4);
    *ms = state != TM_JSON_VALUE || rounded > 9.2e18 ? INT64_MAX
          : rounded < -9.2e18                        ? INT64_MIN + 1
                                                     : static_cast<int64_t>(rounded);
    return true;
}

/// Days from 1970-01-01 of a date of the proleptic Gregorian calendar.
static int64_t daysFromCivil(int64_t year, int64_t month, int64_t day) {
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t yearOfEra = year - era * 400;
    int64_t dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719468;
}

} // namespace tidemark

using namespace tidemark;

extern "C" int tm_json_parse_number(const uint8_t *bytes, size_t length, double *value) {
    const uint8_t *end = bytes;
    int state = readNumber(bytes, bytes + length, value, &end);
    return state >= 0 && end == bytes + length ? state : -1;
}

extern "C" int tm_json_parse_time(const uint8_t *bytes, size_t length, int64_t *ms) {
    auto number = [&](size_t at, size_t count, int64_t *out) {
        *out = 0;
        if (at + count > length) return false;
        for (size_t i = at; i < at + count; i++) {
            if (!isDigit(bytes[i])) return false;
            *out = *out * 10 + (bytes[i] - '0');
        }
        return true;
    };
    int64_t year, month, day, hour, minute, second;
    if (length < 20 || !number(0, 4, &year) || bytes[4] != '-' || !number(5, 2, &month)
        || bytes[7] != '-' || !number(8, 2, &day)
        || (bytes[10] != 'T' && bytes[10] != 't' && bytes[10] != ' ') || !number(11, 2, &hour)
        || bytes[13] != ':' || !number(14, 2, &minute) || bytes[16] != ':'
        || !number(17, 2, &second))
        return 0;
    static const int monthDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (month < 1 || month > 12 || hour > 23 || minute > 59 || second > 60) return 0;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (day < 1 || day > monthDays[month - 1] + (month == 2 && leap)) return 0;
    size_t at = 19;
    int64_t milliseconds = 0;
    if (bytes[at] == '.') {
        size_t first = ++at;
        int64_t unit = 100;
        while (at < length && isDigit(bytes[at])) {
            milliseconds += (bytes[at] - '0') * unit;
            unit /= 10;
            ++at;
        }
        if (at == first) return 0;
    }
    int64_t offset = 0;
    if (at < length && (bytes[at] == 'Z' || bytes[at] == 'z')) {
        ++at;
    } else {
        if (at + 6 != length || (bytes[at] != '+' && bytes[at] != '-') || bytes[at + 3] != ':')
            return 0;
        int64_t hours, minutes;
        if (!number(at + 1, 2, &hours) || !number(at + 4, 2, &minutes) || hours > 23
            || minutes > 59)
            return 0;
        offset = (hours * 60 + minutes) * (bytes[at] == '-' ? -1 : 1);
        at += 6;
    }
    if (at != length) return 0;
    int64_t days = daysFromCivil(year, month, day);
    *ms = ((days * 24 + hour) * 60 + minute - offset) * 60000 + second * 1000 + milliseconds;
    return 1;
}
