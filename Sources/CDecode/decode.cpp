#include "decoder.hpp"

#include <charconv>
#include <cmath>

// Of CText, whose header a C++ target of another module cannot take in.
extern "C" size_t tm_json_write_number(double value, char *text);

using namespace tidemark;

int tm_json::child(const Place &place, const uint8_t *key, size_t length) const {
    for (const auto &child : place.keys)
        if (child.key.size() == length && memcmp(child.key.data(), key, length) == 0)
            return static_cast<int>(child.place);
    return -1;
}

/// Notes that a row has no value in a column, and why. A key that comes twice replaces: the last
/// one wins.
void tm_json::put(int number, int state) {
    tm_json_column &column = out[number];
    if (seen[number] == row + 1) {
        uint32_t last = column.exception_count;
        if (last && column.exception_rows[last - 1] == row) column.exception_count = last - 1;
    } else {
        seen[number] = row + 1;
        found++;
    }
    if (state == TM_JSON_VALUE) return;
    if (column.numbers) column.numbers[row] = NAN;
    if (column.times) column.times[row] = INT64_MIN;
    if (column.codes) column.codes[row] = UINT32_MAX;
    uint32_t place = column.exception_count++;
    column.exception_rows[place] = static_cast<uint16_t>(row);
    column.exception_states[place] = static_cast<uint8_t>(state);
}

void tm_json::putNumber(int number, double value) {
    for (double null : columns[number].nullNumbers)
        if (null == value) return put(number, TM_JSON_NULL);
    put(number, TM_JSON_VALUE);
    out[number].numbers[row] = value;
}

bool tm_json::isNullText(const Column &column, const uint8_t *text, size_t length) const {
    for (const auto &null : column.nullTexts)
        if (null.size() == length && memcmp(null.data(), text, length) == 0) return true;
    return false;
}

void tm_json::putText(int number, const uint8_t *text, size_t length) {
    if (!columns[number].nullTexts.empty() && isNullText(columns[number], text, length))
        return put(number, TM_JSON_NULL);
    put(number, TM_JSON_VALUE);
    out[number].codes[row] = out[number].dictionary->texts.intern(text, length);
}

int tm_json::unescape(const uint8_t *text, size_t length, size_t *outLength) {
    scratch.resize(length + 64);
    uint8_t *to = scratch.data();
    auto hex4 = [&](size_t at) -> int64_t {
        if (at + 4 > length) return -1;
        int64_t code = 0;
        for (size_t i = at; i < at + 4; i++) {
            uint8_t c = text[i], low = c | 0x20;
            int digit = c >= '0' && c <= '9' ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
            if (digit < 0) return -1;
            code = code * 16 + digit;
        }
        return code;
    };
    for (size_t i = 0; i < length;) {
        if (text[i] != '\\') {
            *to++ = text[i++];
            continue;
        }
        if (++i >= length) return TM_JSON_SYNTAX;
        uint8_t c = text[i++];
        switch (c) {
        case '"': case '\\': case '/': *to++ = c; break;
        case 'b': *to++ = '\b'; break;
        case 'f': *to++ = '\f'; break;
        case 'n': *to++ = '\n'; break;
        case 'r': *to++ = '\r'; break;
        case 't': *to++ = '\t'; break;
        case 'u': {
            int64_t code = hex4(i);
            if (code < 0) return TM_JSON_BAD_TOKEN;
            i += 4;
            if (code >= 0xd800 && code < 0xdc00) {
                int64_t low = i + 1 < length && text[i] == '\\' && text[i + 1] == 'u' ? hex4(i + 2) : -1;
                if (low < 0xdc00 || low > 0xdfff) return TM_JSON_BAD_TOKEN;
                i += 6;
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            } else if (code >= 0xdc00 && code < 0xe000) {
                return TM_JSON_BAD_TOKEN;
            }
            auto point = static_cast<uint32_t>(code);
            if (point < 0x80) {
                *to++ = static_cast<uint8_t>(point);
            } else if (point < 0x800) {
                *to++ = static_cast<uint8_t>(0xc0 | point >> 6);
                *to++ = static_cast<uint8_t>(0x80 | (point & 63));
            } else if (point < 0x10000) {
                *to++ = static_cast<uint8_t>(0xe0 | point >> 12);
                *to++ = static_cast<uint8_t>(0x80 | (point >> 6 & 63));
                *to++ = static_cast<uint8_t>(0x80 | (point & 63));
            } else {
                *to++ = static_cast<uint8_t>(0xf0 | point >> 18);
                *to++ = static_cast<uint8_t>(0x80 | (point >> 12 & 63));
                *to++ = static_cast<uint8_t>(0x80 | (point >> 6 & 63));
                *to++ = static_cast<uint8_t>(0x80 | (point & 63));
            }
            break;
        }
        default: return TM_JSON_BAD_TOKEN;
        }
    }
    *outLength = static_cast<size_t>(to - scratch.data());
    return TM_JSON_ROW;
}

static inline bool isSpace(uint8_t c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

int tm_json::text(const uint8_t **start, size_t *length) {
    const uint8_t *first = bytes + token[at] + 1;
    const uint8_t *last = bytes + token[at + 1] - 1;
    while (last > first && isSpace(*last)) --last;
    if (last < first || *last != '"') return TM_JSON_SYNTAX;
    *start = first;
    *length = static_cast<size_t>(last - first);
    if (hasBackslash(first, *length)) {
        if (int verdict = unescape(first, *length, length)) return verdict;
        *start = scratch.data();
    }
    return TM_JSON_ROW;
}

void tm_json::keepToken(const uint8_t *first, size_t length) {
    hasToken = true;
    lastToken.assign(reinterpret_cast<const char *>(first), length < 256 ? length : 256);
}

/// The columns below a place that comes twice have no value yet: the last one of equal keys counts, with
/// all that is in it and nothing else.
void tm_json::forget(const Place &place) {
    for (int number : place.all) {
        auto column = static_cast<size_t>(number);
        if (seen[column] != row + 1) continue;
        uint32_t last = out[number].exception_count;
        if (last && out[number].exception_rows[last - 1] == row) out[number].exception_count = last - 1;
        seen[column] = 0;
        found--;
    }
}

bool tm_json::readTimeText(const Column &column, const uint8_t *text, size_t length, int64_t *ms) {
    bool isNaive;
    if (!tidemark::readTimeText(column.zone, text, length, ms, &isNaive)) return false;
    assumedUTC += isNaive && !column.zone.isDeclared;
    return true;
}

void tm_json::putTimeText(int number, const uint8_t *text, size_t length) {
    const Column &column = columns[static_cast<size_t>(number)];
    int64_t ms;
    if (isNullText(column, text, length)) return put(number, TM_JSON_NULL);
    trim(&text, &length);
    if (length == 0 || isNullText(column, text, length)) return put(number, TM_JSON_NULL);
    if (!readTimeText(column, text, length, &ms)) return put(number, TM_JSON_WRONG_TYPE);
    put(number, TM_JSON_VALUE);
    out[number].times[row] = ms;
}

void tm_json::putNumberText(int number, const uint8_t *text, size_t length) {
    const Column &column = columns[static_cast<size_t>(number)];
    if (isNullText(column, text, length)) return put(number, TM_JSON_NULL);
    trim(&text, &length);
    if (length == 0 || isNullText(column, text, length)) return put(number, TM_JSON_NULL);
    if (column.kind >= TM_JSON_TIME_S) {
        if (putTimeNumber(number, text, length)) put(number, TM_JSON_WRONG_TYPE);
        return;
    }
    double value = NAN;
    int state = readNumberText(text, length, &value);
    if (state == readsNoNumber) return put(number, TM_JSON_NON_FINITE);
    if (column.kind == TM_JSON_NUMBER && state == TM_JSON_NON_FINITE) return put(number, TM_JSON_NON_FINITE);
    bool isWhole = value == std::floor(value) && std::fabs(value) < 9223372036854775808.0;
    if (state != TM_JSON_VALUE || (column.kind == TM_JSON_INTEGER && !isWhole))
        return put(number, TM_JSON_WRONG_TYPE);
    putNumber(number, value);
}

/// A number as a value of a category: one text for equal numbers (5, 5.0 and 5e0 are `5`).
void tm_json::putNumberAsText(int number, const uint8_t *first, size_t length, double value, int state) {
    bool isInteger = true;
    for (size_t i = 0; i < length; i++) isInteger &= first[i] == '-' || static_cast<uint8_t>(first[i] - '0') < 10;
    // Digits are the text, however many there are; but -0 is 0.
    if (isInteger && value != 0) return putText(number, first, length);
    if (state != TM_JSON_VALUE) return put(number, TM_JSON_WRONG_TYPE);
    // 16 readable bytes for the dictionary.
    char text[64] = {};
    size_t count = tm_json_write_number(value, text);
    if (count == 0) {
        // Whole numbers, and those beyond plain notation.
        bool isWhole = value == std::floor(value) && std::fabs(value) < 1e15;
        auto end = isWhole ? std::to_chars(text, text + 40, static_cast<int64_t>(value))
                           : std::to_chars(text, text + 40, value);
        count = static_cast<size_t>(end.ptr - text);
    }
    putText(number, reinterpret_cast<const uint8_t *>(text), count);
}

int tm_json::putTimeNumber(int number, const uint8_t *text, size_t length) {
    int64_t ms;
    if (!readTimeNumber(columns[static_cast<size_t>(number)].kind, text, length, &ms)) return TM_JSON_BAD_TOKEN;
    put(number, TM_JSON_VALUE);
    out[number].times[row] = ms;
    return TM_JSON_ROW;
}

/// Reads the scalar at hand into one column; objects and arrays come here as wrong types.
int tm_json::scalar(int number) {
    const Column &column = columns[number];
    const uint8_t *first = bytes + token[at];
    const uint8_t *last = bytes + token[at + 1];
    while (last > first + 1 && isSpace(last[-1])) --last;
    auto length = static_cast<size_t>(last - first);
    bool isTime = column.kind >= TM_JSON_TIME_S;
    bool isNumeric = column.kind <= TM_JSON_INTEGER;
    if (keepsToken) keepToken(first, length);
    switch (*first) {
    case '{': case '[':
        put(number, TM_JSON_WRONG_TYPE);
        return TM_JSON_ROW;
    case '"': {
        const uint8_t *start;
        size_t count;
        if (int verdict = text(&start, &count)) return verdict;
        if (isNumeric || (isTime && column.kind != TM_JSON_TIME_TEXT)) {
            // Integers of 64 bits stand in quotes in what many writers make of them: times always may.
            if (column.acceptText || isTime) putNumberText(number, start, count);
            else put(number, isNullText(column, start, count) ? TM_JSON_NULL : TM_JSON_WRONG_TYPE);
        } else if (column.kind == TM_JSON_TIME_TEXT) {
            putTimeText(number, start, count);
        } else if (column.kind == TM_JSON_BOOLEAN) {
            if (isNullText(column, start, count)) put(number, TM_JSON_NULL);
            else if (column.acceptText && (same(start, count, "true") || same(start, count, "false")))
                putText(number, start, count);
            else put(number, TM_JSON_WRONG_TYPE);
        } else {
            putText(number, start, count);
        }
        return TM_JSON_ROW;
    }
    case 'n':
        if (!same(first, length, "null")) return TM_JSON_BAD_TOKEN;
        put(number, TM_JSON_NULL);
        return TM_JSON_ROW;
    case 't': case 'f':
        if (!same(first, length, "true") && !same(first, length, "false")) return TM_JSON_BAD_TOKEN;
        if (column.kind == TM_JSON_CATEGORY || column.kind == TM_JSON_BOOLEAN) putText(number, first, length);
        else put(number, TM_JSON_WRONG_TYPE);
        return TM_JSON_ROW;
    case 'N': case 'I':
        // What Python's json and others write for numbers that do not exist.
        if (!same(first, length, "NaN") && !same(first, length, "Infinity")) return TM_JSON_BAD_TOKEN;
        put(number, isNumeric ? TM_JSON_NON_FINITE : TM_JSON_WRONG_TYPE);
        return TM_JSON_ROW;
    default: break;
    }
    if (same(first, length, "-Infinity")) {
        put(number, isNumeric ? TM_JSON_NON_FINITE : TM_JSON_WRONG_TYPE);
        return TM_JSON_ROW;
    }
    if (isTime && column.kind != TM_JSON_TIME_TEXT) return putTimeNumber(number, first, length);
    double value;
    const uint8_t *end;
    int state = readNumber(first, last, &value, &end);
    if (state < 0 || end != last) return TM_JSON_BAD_TOKEN;
    if (isNumeric) {
        if (state != TM_JSON_VALUE) {
            put(number, column.kind == TM_JSON_INTEGER ? TM_JSON_WRONG_TYPE : TM_JSON_NON_FINITE);
        } else if (
            column.kind == TM_JSON_INTEGER
            && (value != std::floor(value) || std::fabs(value) >= 9223372036854775808.0)) {
            put(number, TM_JSON_WRONG_TYPE);
        } else {
            putNumber(number, value);
        }
    } else if (column.kind == TM_JSON_CATEGORY) {
        putNumberAsText(number, first, length, value, state);
    } else {
        put(number, TM_JSON_WRONG_TYPE);
    }
    return TM_JSON_ROW;
}

/// The common cases at one go: a plain decimal in a number column, a short text in a text column.
/// False leaves the value to the careful way.
inline bool tm_json::plain(int number) {
    auto place = static_cast<size_t>(number);
    Column &column = columns[place];
    const uint8_t *first = bytes + token[at];
    const uint8_t *last = bytes + token[at + 1];
    if (seen[place] == row + 1 || keepsToken) return false;
    if (column.kind <= TM_JSON_INTEGER) {
        double value;
        if (last - base < 16 || !column.nullNumbers.empty() || !readPlain(first, last, &value)) return false;
        if (column.kind == TM_JSON_INTEGER && value != std::floor(value)) return false;
        out[number].numbers[row] = value;
    } else if (column.kind == TM_JSON_CATEGORY) {
        ptrdiff_t length = last - first - 2;
        if (*first != '"' || length < 0 || length > 16 || last[-1] != '"' || !column.nullTexts.empty()
            || hasBackslash(first + 1, static_cast<size_t>(length)))
            return false;
        out[number].codes[row] = out[number].dictionary->texts.intern(first + 1, static_cast<size_t>(length));
    } else if (column.kind == TM_JSON_TIME_MS) {
        double value;
        if (last - base < 16 || !readPlain(first, last, &value) || value != std::floor(value)) return false;
        out[number].times[row] = static_cast<int64_t>(value);
    } else {
        return false;
    }
    seen[place] = row + 1;
    found++;
    at++;
    return true;
}

/// Passes over the value at hand, whatever it is.
int tm_json::skip() {
    uint8_t c = head();
    if (c == ',' || c == ':' || c == '}' || c == ']') return TM_JSON_SYNTAX;
    if (c != '{' && c != '[') {
        at++;
        return TM_JSON_ROW;
    }
    size_t depth = 0;
    do {
        if (at >= count) return TM_JSON_TRUNCATED;
        c = head();
        depth += (c == '{' || c == '[');
        depth -= (c == '}' || c == ']');
        at++;
    } while (depth);
    return TM_JSON_ROW;
}

int tm_json::value(uint32_t number) {
    if (at >= count) return TM_JSON_TRUNCATED;
    const Place &place = places[number];
    if (place.columns.size() != place.all.size()) forget(place);
    for (int column : place.columns)
        if (int verdict = scalar(column)) return verdict;
    uint8_t c = head();
    if (c == '{' && !place.keys.empty()) return object(number, false);
    if (c == '[' && !place.elements.empty()) return array(number);
    if (place.columns.size() != place.all.size()) {
        // The path goes on, the record does not.
        int state = c == 'n' ? TM_JSON_NULL : TM_JSON_WRONG_TYPE;
        for (int column : place.all) {
            bool own = false;
            for (int mine : place.columns) own |= mine == column;
            if (!own) put(column, state);
        }
    }
    return skip();
}

int tm_json::array(uint32_t number) {
    at++;
    if (at < count && head() == ']') {
        at++;
        return TM_JSON_ROW;
    }
    for (uint32_t element = 0;; element++) {
        if (at >= count) return TM_JSON_TRUNCATED;
        int32_t wanted = -1;
        for (const auto &[index, place] : places[number].elements)
            if (index == element) wanted = static_cast<int32_t>(place);
        if (int verdict = wanted >= 0 ? value(static_cast<uint32_t>(wanted)) : skip()) return verdict;
        if (at >= count) return TM_JSON_TRUNCATED;
        uint8_t c = head();
        at++;
        if (c == ']') return TM_JSON_ROW;
        if (c != ',') return TM_JSON_SYNTAX;
    }
}

int tm_json::object(uint32_t number, bool outermost) {
    at++;
    if (at < count && head() == '}') {
        at++;
        return TM_JSON_ROW;
    }
    for (size_t field = 0;; field++) {
        if (at + 2 >= count) return TM_JSON_TRUNCATED;
        if (head() != '"') return TM_JSON_SYNTAX;
        const uint8_t *key = bytes + token[at] + 1;
        int32_t wanted;
        if (outermost && field < layout.size() && layout[field].matches(key)) {
            wanted = layout[field].place;
        } else {
            size_t length;
            if (int verdict = text(&key, &length)) return verdict;
            wanted = child(places[number], key, length);
            // Short keys alone: the comparison may not read past the bytes behind the last record.
            if (outermost && field < 4096 && length < 64 && key != scratch.data()) {
                if (layout.size() <= field) layout.resize(field + 1);
                layout[field].set(key, length + 1, wanted);
            }
        }
        at++;
        if (head() != ':') return TM_JSON_SYNTAX;
        at++;
        if (at >= count) return TM_JSON_TRUNCATED;
        int only = wanted >= 0 ? places[static_cast<size_t>(wanted)].only : -1;
        if (only < 0 || !plain(only)) {
            if (int verdict = wanted >= 0 ? value(static_cast<uint32_t>(wanted)) : skip()) return verdict;
        }
        if (at >= count) return TM_JSON_TRUNCATED;
        uint8_t c = head();
        at++;
        if (c == '}') return TM_JSON_ROW;
        if (c != ',') return TM_JSON_SYNTAX;
    }
}

int tm_json::record(const uint8_t *payload, size_t length) {
    if (length >= 3 && memcmp(payload, byteOrderMark, 3) == 0) payload += 3, length -= 3;
    if (length == 0) return TM_JSON_EMPTY;
    if (length > capacity) {
        size_t wanted = length < 4096 ? 4096 : length + length / 4;
        auto error = index ? index->set_capacity(wanted)
                           : simdjson::get_active_implementation()->create_dom_parser_implementation(
                                 wanted, 4, index);
        if (error) return TM_JSON_TOO_LONG;
        capacity = wanted;
    }
    auto error = index->stage1(payload, length, simdjson::stage1_mode::regular);
    bytes = payload;
    token = index->structural_indexes.get();
    count = index->n_structural_indexes;
    at = 0;
    switch (error) {
    case simdjson::SUCCESS: break;
    case simdjson::EMPTY: return TM_JSON_EMPTY;
    case simdjson::UTF8_ERROR: return TM_JSON_NOT_UTF8;
    case simdjson::UNCLOSED_STRING: return TM_JSON_UNCLOSED_STRING;
    case simdjson::UNESCAPED_CHARS: return TM_JSON_CONTROL_CHARACTER;
    default: return TM_JSON_SYNTAX;
    }
    if (count == 0) return TM_JSON_EMPTY;
    if (head() != '{') {
        // Rare: a parser of the whole text tells other JSON from no JSON.
        simdjson::dom::parser whole;
        return whole.parse(payload, length, true).error() ? TM_JSON_SYNTAX : TM_JSON_NOT_AN_OBJECT;
    }
    if (int verdict = object(0, true)) return verdict;
    return at == count ? TM_JSON_ROW : TM_JSON_SYNTAX;
}

extern "C" tm_json *tm_json_new(void) { return new tm_json; }
extern "C" void tm_json_free(tm_json *decoder) { delete decoder; }

extern "C" void tm_json_add(
    tm_json *decoder, int kind, int accept_text, const tm_json_step *steps, size_t step_count,
    const uint8_t *const *null_values, const size_t *null_lengths, size_t null_count,
    const int64_t *zone_from, const int32_t *zone_offsets, size_t zone_count) {
    int number = static_cast<int>(decoder->columns.size());
    Column column;
    column.kind = kind;
    column.acceptText = accept_text != 0;
    column.zone.from.assign(zone_from, zone_from + zone_count);
    column.zone.offsets.assign(zone_offsets, zone_offsets + zone_count);
    column.zone.isDeclared = zone_count > 0;
    for (size_t i = 0; i < null_count; i++) {
        column.nullTexts.emplace_back(reinterpret_cast<const char *>(null_values[i]), null_lengths[i]);
        double value;
        if (tm_json_parse_number(null_values[i], null_lengths[i], &value) == TM_JSON_VALUE)
            column.nullNumbers.push_back(value);
    }
    decoder->columns.push_back(std::move(column));
    decoder->seen.push_back(0);
    uint32_t place = 0;
    auto &places = decoder->places;
    places[0].all.push_back(number);
    for (size_t i = 0; i < step_count; i++) {
        int found = -1;
        if (steps[i].key) {
            found = decoder->child(places[place], steps[i].key, steps[i].key_length);
        } else {
            for (const auto &[index, below] : places[place].elements)
                if (index == steps[i].index) found = static_cast<int>(below);
        }
        if (found < 0) {
            found = static_cast<int>(places.size());
            places.emplace_back();
            if (steps[i].key)
                places[place].keys.push_back(
                    {std::string(reinterpret_cast<const char *>(steps[i].key), steps[i].key_length),
                     static_cast<uint32_t>(found)});
            else
                places[place].elements.emplace_back(steps[i].index, static_cast<uint32_t>(found));
        }
        place = static_cast<uint32_t>(found);
        places[place].all.push_back(number);
    }
    places[place].columns.push_back(number);
    for (auto &one : places)
        one.only = one.columns.size() == 1 && one.all.size() == 1 ? one.columns[0] : -1;
}

/// Decodes a row by itself; `verdict` is that of a row on entry.
void tm_json::walk(const uint8_t *payload, size_t length, uint8_t *verdict) {
    found = 0;
    uint64_t assumedBefore = assumedUTC;
    int result = isCSV ? csvRecord(payload, length) : record(payload, length);
    *verdict = static_cast<uint8_t>(result);
    auto columnCount = static_cast<uint32_t>(columns.size());
    if (result) {
        assumedUTC = assumedBefore;
        for (uint32_t c = 0; c < columnCount; c++) {
            uint32_t last = out[c].exception_count;
            if (last && out[c].exception_rows[last - 1] == row) out[c].exception_count = last - 1;
        }
    } else if (found != columnCount) {
        for (uint32_t c = 0; c < columnCount; c++)
            if (seen[c] != row + 1) put(static_cast<int>(c), TM_JSON_MISSING);
    }
}

extern "C" void tm_json_decode(
    tm_json *decoder, const uint8_t *base, const uint32_t *start, const int32_t *length,
    uint32_t row_count, tm_json_column *columns, uint8_t *verdicts) {
    decoder->out = columns;
    decoder->base = base;
    for (size_t c = 0; c < decoder->columns.size(); c++) {
        columns[c].exception_count = 0;
        decoder->seen[c] = 0;
    }
    decoder->decode(start, length, row_count, verdicts);
    if (decoder->capacity > keptCapacity) {
        // One huge record must not keep its index for ever.
        decoder->index.reset();
        decoder->capacity = 0;
    }
}

extern "C" uint64_t tm_json_assumed_utc(const tm_json *decoder) { return decoder->assumedUTC; }
extern "C" void tm_json_keep_token(tm_json *decoder) { decoder->keepsToken = true; }
extern "C" const uint8_t *tm_json_last_token(tm_json *decoder, size_t *length) {
    if (!decoder->hasToken) return nullptr;
    decoder->hasToken = false;
    *length = decoder->lastToken.size();
    return reinterpret_cast<const uint8_t *>(decoder->lastToken.data());
}

extern "C" void tm_json_speculate(tm_json *decoder, int is_on, int tier) {
    decoder->speculation.isOn = is_on != 0;
    decoder->speculation.tier = availableTier(tier);
}
extern "C" void tm_json_row_counts(const tm_json *decoder, uint64_t *by_layout, uint64_t *walked) {
    *by_layout = decoder->speculation.fastRows;
    *walked = decoder->speculation.walkedRows;
}
