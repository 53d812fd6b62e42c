#include "internal.hpp"

#include <algorithm>
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

/// A decimal as its digits and the place of its dot: exact, whatever its length.
struct Decimal {
    static constexpr size_t digitCountMax = 60;
    uint8_t digits[digitCountMax];
    ptrdiff_t count = 0;
    /// Digits before the dot; may be below 0 or beyond `count`.
    ptrdiff_t whole = 0;
    bool isNegative = false;

    /// False where the text is no number of JSON, or too long for an exact answer to matter.
    bool read(const uint8_t *text, size_t length) {
        size_t i = length && text[0] == '-';
        isNegative = i != 0;
        size_t first = i;
        while (i < length && isDigit(text[i]) && count < static_cast<ptrdiff_t>(digitCountMax))
            digits[count++] = text[i++] - '0';
        if (i == first || (text[first] == '0' && i > first + 1)) return false;
        whole = count;
        if (i < length && text[i] == '.') {
            size_t fraction = ++i;
            while (i < length && isDigit(text[i]) && count < static_cast<ptrdiff_t>(digitCountMax))
                digits[count++] = text[i++] - '0';
            if (i == fraction) return false;
        }
        if (i < length && (text[i] | 0x20) == 'e') {
            bool isBelow = ++i < length && text[i] == '-';
            if (i < length && (text[i] == '+' || text[i] == '-')) i++;
            ptrdiff_t power = 0;
            size_t digit = i;
            while (i < length && isDigit(text[i]) && i < digit + 3) power = power * 10 + (text[i++] - '0');
            if (i == digit) return false;
            whole += isBelow ? -power : power;
        }
        return i == length;
    }

    /// The greatest integer that is not above this number times 10^`shift`, in 64 bits: beyond them the
    /// nearest of their ends.
    int64_t floor(ptrdiff_t shift) const {
        ptrdiff_t end = whole + shift;
        uint64_t value = 0;
        bool isBeyond = false, hasRest = false;
        for (ptrdiff_t i = 0; i < end && !isBeyond; i++) {
            uint64_t digit = i < count ? digits[i] : 0;
            isBeyond = value > (INT64_MAX - digit) / 10;
            value = value * 10 + digit;
            if (value == 0 && i >= count) break;
        }
        for (ptrdiff_t i = end < 0 ? 0 : end; i < count; i++) hasRest |= digits[i] != 0;
        if (isBeyond) return isNegative ? INT64_MIN + 1 : INT64_MAX;
        auto magnitude = static_cast<int64_t>(value);
        return isNegative ? -magnitude - hasRest : magnitude;
    }
};

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
    // Never through a double: 19 digits of nanoseconds, and fractions next to the end of a millisecond,
    // would be rounded into the next one.
    Decimal decimal;
    if (decimal.read(text, length)) {
        *ms = decimal.floor(kind == TM_JSON_TIME_MS   ? 0
                            : kind == TM_JSON_TIME_US ? -3
                            : kind == TM_JSON_TIME_NS ? -6
                                                      : 3);
        return true;
    }
    double value;
    int state = tm_json_parse_number(text, length, &value);
    if (state < 0) return false;
    double floored = std::floor(kind == TM_JSON_TIME_MS   ? value
                                : kind == TM_JSON_TIME_US ? value / 1e3
                                : kind == TM_JSON_TIME_NS ? value / 1e6
                                                          : value * 1e3);
    *ms = state != TM_JSON_VALUE || floored > 9.2e18 ? INT64_MAX
          : floored < -9.2e18                        ? INT64_MIN + 1
                                                     : static_cast<int64_t>(floored);
    return true;
}

int readNumberText(const uint8_t *first, size_t length, double *value) {
    int state = tm_json_parse_number(first, length, value);
    if (state >= 0) return state;
    const uint8_t *from = first, *to = first + length;
    if (from < to && (*from == '+' || *from == '-')) ++from;
    bool isNegative = from > first && *first == '-';
    char word[9] = {};
    auto rest = static_cast<size_t>(to - from);
    for (size_t i = 0; i < rest && i < 8; i++) word[i] = static_cast<char>(from[i] | 0x20);
    if ((rest == 3 && (!strcmp(word, "nan") || !strcmp(word, "inf"))) || (rest == 8 && !strcmp(word, "infinity"))) {
        *value = NAN;
        return readsNoNumber;
    }
    // What is left to know is a sign, a dot without digits on one side, zeros in front.
    if (from == to || !(isDigit(*from) || *from == '.')) return -1;
    const char *begin = reinterpret_cast<const char *>(from), *end = reinterpret_cast<const char *>(to);
    auto result = std::from_chars(begin, end, *value);
    if (result.ptr != end) return -1;
    if (result.ec == std::errc::result_out_of_range) {
        // strtod tells an overflow from an underflow.
        *value = std::strtod(std::string(begin, end).c_str(), nullptr);
    }
    if (!std::isfinite(*value)) {
        *value = NAN;
        return TM_JSON_NON_FINITE;
    }
    if (isNegative) *value = -*value;
    return TM_JSON_VALUE;
}

/// Days from 1970-01-01 of a date of the proleptic Gregorian calendar.
static int64_t daysFromCivil(int64_t year, int64_t month, int64_t day) {
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t yearOfEra = year - era * 400;
    int64_t dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719468;
}

int64_t Zone::offsetAt(int64_t local) const {
    if (from.empty()) return 0;
    auto after = std::upper_bound(from.begin(), from.end(), local);
    return offsets[static_cast<size_t>(after - from.begin()) - (after != from.begin())];
}

bool readTimeText(const Zone &zone, const uint8_t *bytes, size_t length, int64_t *ms, bool *isNaive) {
    trim(&bytes, &length);
    size_t at = 0;
    auto number = [&](size_t count, int64_t *out) {
        int64_t value = 0;
        if (at + count > length) return false;
        for (size_t end = at + count; at < end; at++) {
            if (!isDigit(bytes[at])) return false;
            value = value * 10 + (bytes[at] - '0');
        }
        *out = value;
        return true;
    };
    auto take = [&](uint8_t byte) { return at < length && bytes[at] == byte ? (++at, true) : false; };
    int64_t year, month, day, hour = 0, minute = 0, second = 0, milliseconds = 0;
    if (!number(4, &year)) return false;
    bool isBasic = !take('-');
    if (!number(2, &month) || (!isBasic && !take('-')) || !number(2, &day)) return false;
    static const int monthDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (month < 1 || month > 12 || day < 1 || day > monthDays[month - 1] + (month == 2 && leap)) return false;
    int64_t offset = 0;
    *isNaive = true;
    if (at == length) {
        // Eight digits alone may be anything.
        if (isBasic) return false;
    } else {
        if (!take('T') && !take('t') && !take(' ')) return false;
        if (!number(2, &hour)) return false;
        bool hasColons = take(':');
        if (hasColons || (at < length && isDigit(bytes[at]))) {
            if (!number(2, &minute)) return false;
            if (hasColons ? take(':') : at < length && isDigit(bytes[at])) {
                if (!number(2, &second)) return false;
                if (take('.') || take(',')) {
                    size_t first = at;
                    for (int64_t unit = 100; at < length && isDigit(bytes[at]); at++, unit /= 10)
                        milliseconds += (bytes[at] - '0') * unit;
                    if (at == first) return false;
                }
            }
        }
        bool isMidnight = hour == 24 && minute == 0 && second == 0 && milliseconds == 0;
        if ((hour > 23 && !isMidnight) || minute > 59 || second > 60) return false;
        take(' ');
        *isNaive = at == length;
        if (!*isNaive) {
            size_t left = length - at;
            if (take('Z') || take('z')) {
            } else if (left >= 3 && (!memcmp(bytes + at, "UTC", 3) || !memcmp(bytes + at, "GMT", 3))) {
                at += 3;
            } else {
                bool isWest = bytes[at] == '-';
                int64_t hours, minutes = 0;
                if (!take('+') && !take('-')) return false;
                if (!number(2, &hours)) return false;
                if (take(':') || (at < length && isDigit(bytes[at])))
                    if (!number(2, &minutes)) return false;
                if (hours > 23 || minutes > 59) return false;
                offset = (hours * 60 + minutes) * (isWest ? -60 : 60);
            }
            // `[Europe/Berlin]`, as Java writes it behind an offset: the offset says all.
            if (at < length && bytes[at] == '[' && bytes[length - 1] == ']') at = length;
        }
    }
    if (at != length) return false;
    int64_t local = ((daysFromCivil(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    if (*isNaive) offset = zone.offsetAt(local);
    *ms = (local - offset) * 1000 + milliseconds;
    return true;
}

} // namespace tidemark

using namespace tidemark;

extern "C" int tm_json_parse_number(const uint8_t *bytes, size_t length, double *value) {
    const uint8_t *end = bytes;
    int state = readNumber(bytes, bytes + length, value, &end);
    return state >= 0 && end == bytes + length ? state : -1;
}

