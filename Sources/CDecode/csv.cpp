// Records of comma-separated values: a row of RFC 4180 each.
//
// The same idea as for JSON layouts, with less to prove: what is equal in all rows is the number of commas.
// Of a block of 64 rows without quotes the places of the values follow from the commas, and they are read
// column by column. Every other row (a quote, another number of fields, a value that is no plain decimal,
// a backslash, a carriage return) goes to the walk below, which alone defines verdicts, values and states.
#include "decoder.hpp"

#include <cmath>

using namespace tidemark;

/// 16 bytes are readable, as the dictionary wants.
static const uint8_t booleans[2][32] = {"false", "true"};

/// -1 where it is none.
static int readBoolean(const uint8_t *first, size_t length) {
    for (const char *word : {"true", "True", "TRUE", "1"})
        if (same(first, length, word)) return 1;
    for (const char *word : {"false", "False", "FALSE", "0"})
        if (same(first, length, word)) return 0;
    return -1;
}

/// One field into one column. `isQuoted`: quotes stood around it.
void tm_json::csvScalar(int number, const uint8_t *first, size_t length, bool isQuoted) {
    Column &column = columns[static_cast<size_t>(number)];
    if (keepsToken) keepToken(first, length);
    switch (column.kind) {
    case TM_JSON_CATEGORY: case TM_JSON_TEXT:
        // Nothing is null; but a text that somebody quoted is a text without letters.
        if (length == 0 && !isQuoted) return put(number, TM_JSON_NULL);
        return putText(number, first, length);
    case TM_JSON_BOOLEAN: {
        trim(&first, &length);
        if (length == 0 || isNullText(column, first, length)) return put(number, TM_JSON_NULL);
        int truth = readBoolean(first, length);
        if (truth < 0) return put(number, TM_JSON_WRONG_TYPE);
        return putText(number, booleans[truth], truth ? 4 : 5);
    }
    case TM_JSON_TIME_TEXT: return putTimeText(number, first, length);
    default: return putNumberText(number, first, length);
    }
}

/// A row by itself.
int tm_json::csvRecord(const uint8_t *payload, size_t length) {
    if (length && payload[length - 1] == '\n') length--;
    // Text files of other systems end lines in CR LF, and what is written to them twice over in CR CR LF.
    while (length && payload[length - 1] == '\r') length--;
    if (length >= 3 && memcmp(payload, byteOrderMark, 3) == 0) payload += 3, length -= 3;
    if (length == 0) return TM_JSON_EMPTY;
    if (!simdjson::validate_utf8(reinterpret_cast<const char *>(payload), length)) return TM_JSON_NOT_UTF8;
    if (isHeader(payload, length)) return TM_JSON_TOMBSTONE;
    const uint8_t separator = csv.separator;
    size_t field = 0, at = 0;
    for (;; field++) {
        if (field == csv.names.size()) return TM_JSON_TOO_MANY_FIELDS;
        const uint8_t *first = payload + at;
        size_t count = 0;
        bool isQuoted = at < length && payload[at] == '"';
        if (isQuoted) {
            // Quotes inside are doubled.
            scratch.clear();
            for (at++;; at++) {
                if (at == length) return TM_JSON_UNCLOSED_QUOTE;
                if (payload[at] == '"' && (++at == length || payload[at] != '"')) break;
                scratch.push_back(payload[at]);
            }
            if (at < length && payload[at] != separator) return TM_JSON_STRAY_QUOTE;
            count = scratch.size();
            scratch.resize(count + 64);
            first = scratch.data();
        } else {
            while (at < length && payload[at] != separator) {
                if (payload[at] == '"') return TM_JSON_STRAY_QUOTE;
                at++;
            }
            count = static_cast<size_t>(payload + at - first);
        }
        for (int column : csv.columns[field]) csvScalar(column, first, count, isQuoted);
        if (at == length) return TM_JSON_ROW;
        at++;
    }
}

/// Whether a row may repeat the names of the columns: it begins with the first of them. Cheap, and never
/// false for one that does.
bool tm_json::mayBeHeader(const uint8_t *payload, size_t length) const {
    if (csv.names.empty()) return false;
    const std::string &name = csv.names.front();
    while (length && (isBlank(*payload) || *payload == '"')) payload++, length--;
    return length >= name.size() && memcmp(payload, name.data(), name.size()) == 0
        && (length == name.size() || payload[name.size()] == csv.separator || payload[name.size()] == '"'
            || isBlank(payload[name.size()]));
}

/// Whether a row repeats the names of the columns, as the first line of a file does: in their order, with
/// or without quotes and blanks.
bool tm_json::isHeader(const uint8_t *payload, size_t length) {
    if (!mayBeHeader(payload, length)) return false;
    size_t at = 0;
    for (size_t field = 0; field < csv.names.size(); field++) {
        // One row in a file: it may cost.
        std::string text;
        while (at < length && isBlank(payload[at])) at++;
        if (at < length && payload[at] == '"') {
            for (at++;; at++) {
                if (at == length) return false;
                if (payload[at] == '"' && (++at == length || payload[at] != '"')) break;
                text.push_back(static_cast<char>(payload[at]));
            }
            while (at < length && isBlank(payload[at])) at++;
        } else {
            while (at < length && payload[at] != csv.separator) text.push_back(static_cast<char>(payload[at++]));
            while (!text.empty() && isBlank(static_cast<uint8_t>(text.back()))) text.pop_back();
        }
        if (text != csv.names[field]) return false;
        bool isLast = field + 1 == csv.names.size();
        if (isLast != (at == length) || (!isLast && payload[at] != csv.separator)) return false;
        at++;
    }
    return true;
}

/// 64 rows at most: those that have as many commas as there are columns less one, and no quotes, by column.
void tm_json::csvBlock(
    const uint32_t *start, const int32_t *length, uint32_t firstRow, uint32_t rowCount, uint8_t *verdicts) {
    Speculation &s = speculation;
    auto fieldCount = static_cast<uint32_t>(csv.names.size());
    uint64_t walked = 0, read = 0;
    uint8_t rows[blockRows];
    uint32_t readCount = 0;
    s.bad = 0;
    for (uint32_t i = 0; i < rowCount; i++) {
        uint32_t row = firstRow + i;
        if (verdicts[row] != TM_JSON_ROW) continue;
        auto size = static_cast<uint32_t>(length[row]);
        walked |= 1ULL << i;
        if (size == 0 || size > recordLengthMax || start[row] < readableBytes) continue;
        const uint8_t *record = base + start[row];
        s.record[i] = record;
        Counts counts =
            scanRecord(s.tier, record, size, s.ends.data() + i * s.stride + 16, s.stride - 16);
        if (counts.isDoubtful || counts.quotes || counts.controls || counts.segments != fieldCount
            || (counts.wides
                && (record[0] == byteOrderMark[0]
                    || !simdjson::validate_utf8(reinterpret_cast<const char *>(record), size)))
            || mayBeHeader(record, size))
            continue;
        walked &= ~(1ULL << i);
        read |= 1ULL << i;
        rows[readCount++] = static_cast<uint8_t>(i);
    }
    s.assumed = 0;
    if (readCount) csvColumns(firstRow, rows, readCount);
    s.bad |= walked;
    assumedUTC += static_cast<uint64_t>(std::popcount(s.assumed & ~s.bad));
    s.fastRows += static_cast<uint32_t>(std::popcount(read & ~s.bad));
    s.walkedRows += static_cast<uint32_t>(std::popcount(s.bad));
    for (uint64_t bad = s.bad; bad; bad &= bad - 1) {
        auto i = static_cast<uint32_t>(std::countr_zero(bad));
        flush(firstRow, (1ULL << i) - 1);
        row = firstRow + i;
        walk(base + start[row], static_cast<size_t>(length[row]), verdicts + row);
    }
    flush(firstRow, UINT64_MAX);
}

/// Reads the wanted values of rows whose fields are what lies between two commas.
void tm_json::csvColumns(uint32_t firstRow, const uint8_t *rows, uint32_t rowCount) {
    Speculation &s = speculation;
    auto fieldCount = static_cast<uint32_t>(csv.names.size());
    transposeRows(rows, rowCount, fieldCount + 1);
    const uint8_t *record[blockRows];
    alignas(64) double numbers[blockRows];
    uint32_t padded = (rowCount + 7) & ~7u;
    for (uint32_t j = 0; j < padded; j++) record[j] = s.record[rows[std::min(j, rowCount - 1)]];
    uint64_t live = rowCount == 64 ? UINT64_MAX : (1ULL << rowCount) - 1;
    for (uint32_t field = 0; field < fieldCount; field++) {
        const uint16_t *commas = s.places.data() + 64 * size_t{field};
        const ValuePlaces places{record, commas, commas + 64, field ? 1u : 0u, 0};
        for (int number : csv.columns[field]) {
            Column &column = columns[static_cast<size_t>(number)];
            tm_json_column &to = out[number];
            uint64_t nulls = 0, bad = 0;
            bool isNumeric = column.kind <= TM_JSON_INTEGER;
            if (isNumeric || column.kind == TM_JSON_TIME_MS) {
                uint64_t missed = readPlainValues(s.tier, places, padded, numbers) & live;
                for (; missed; missed &= missed - 1) {
                    auto j = static_cast<uint32_t>(std::countr_zero(missed));
                    const uint8_t *first = places.first(j), *last = places.last(j);
                    numbers[j] = 0;
                    if (first == last) nulls |= 1ULL << rows[j];
                    // A time is never rounded to a double: the walk reads it exactly.
                    else if (!isNumeric || !readLong(s.tier, first, last, numbers + j)) bad |= 1ULL << rows[j];
                }
                // Of a time the walk compares what may be null.
                if (!isNumeric && !column.nullTexts.empty())
                    for (uint32_t j = 0; j < rowCount; j++) bad |= 1ULL << rows[j];
                for (double null : column.nullNumbers)
                    for (uint32_t j = 0; isNumeric && j < rowCount; j++)
                        if (numbers[j] == null && !(bad >> rows[j] & 1)) nulls |= 1ULL << rows[j];
                for (uint32_t j = 0; j < rowCount; j++) {
                    uint32_t row = firstRow + rows[j];
                    double value = numbers[j];
                    bool isWhole = value == std::floor(value) && std::fabs(value) <= 9007199254740992.0;
                    // In more letters than 16 a fraction may have been rounded away.
                    isWhole &= isNumeric || places.last(j) - places.first(j) <= 16;
                    if (column.kind != TM_JSON_NUMBER && !isWhole) bad |= 1ULL << rows[j];
                    if (isNumeric) to.numbers[row] = value;
                    else to.times[row] = isWhole ? static_cast<int64_t>(value) : INT64_MIN;
                }
            } else if (column.kind == TM_JSON_CATEGORY || column.kind == TM_JSON_TEXT) {
                Dictionary &texts = to.dictionary->texts;
                Dictionary::Prepared prepared[blockRows];
                bool mayBeNull = !column.nullTexts.empty();
                for (uint32_t j = 0; j < rowCount; j++)
                    prepared[j] = texts.prepare(
                        places.first(j), static_cast<size_t>(places.last(j) - places.first(j)));
                for (uint32_t j = 0; j < rowCount; j++) {
                    const uint8_t *first = places.first(j);
                    auto size = static_cast<size_t>(places.last(j) - first);
                    if (size == 0 || (mayBeNull && isNullText(column, first, size))) nulls |= 1ULL << rows[j];
                    else to.codes[firstRow + rows[j]] = texts.intern(prepared[j], first, size);
                }
            } else if (column.kind == TM_JSON_TIME_TEXT && column.nullTexts.empty()) {
                for (uint32_t j = 0; j < rowCount; j++) {
                    const uint8_t *first = places.first(j), *last = places.last(j);
                    bool isNaive = false;
                    if (first == last) nulls |= 1ULL << rows[j];
                    else if (
                        !tidemark::readTimeText(
                            column.zone, first, static_cast<size_t>(last - first),
                            to.times + firstRow + rows[j], &isNaive))
                        bad |= 1ULL << rows[j];
                    if (isNaive && !column.zone.isDeclared) s.assumed |= 1ULL << rows[j];
                }
            } else if (column.kind == TM_JSON_BOOLEAN && column.nullTexts.empty()) {
                for (uint32_t j = 0; j < rowCount; j++) {
                    const uint8_t *first = places.first(j), *last = places.last(j);
                    int truth = readBoolean(first, static_cast<size_t>(last - first));
                    if (first == last) nulls |= 1ULL << rows[j];
                    else if (truth < 0) bad |= 1ULL << rows[j];
                    else to.codes[firstRow + rows[j]] = to.dictionary->texts.intern(booleans[truth], truth ? 4 : 5);
                }
            } else if (column.nullTexts.empty()) {
                for (uint32_t j = 0; j < rowCount; j++) {
                    const uint8_t *first = places.first(j), *last = places.last(j);
                    auto size = static_cast<size_t>(last - first);
                    if (size == 0) nulls |= 1ULL << rows[j];
                    else if (!readTimeNumber(column.kind, first, size, to.times + firstRow + rows[j]))
                        bad |= 1ULL << rows[j];
                }
            } else {
                // Times of other kinds with texts that mean null.
                for (uint32_t j = 0; j < rowCount; j++) bad |= 1ULL << rows[j];
            }
            s.nulls[static_cast<size_t>(number)] |= nulls;
            s.bad |= bad;
        }
    }
}

extern "C" void tm_json_use_csv(
    tm_json *decoder, const uint8_t *const *names, const size_t *lengths, size_t count, uint8_t separator) {
    decoder->isCSV = true;
    auto &csv = decoder->csv;
    csv.separator = separator;
    csv.columns.assign(count, {});
    for (size_t i = 0; i < count; i++) {
        std::string name(reinterpret_cast<const char *>(names[i]), lengths[i]);
        int place = decoder->child(decoder->places[0], names[i], lengths[i]);
        if (place >= 0) csv.columns[i] = decoder->places[static_cast<size_t>(place)].columns;
        csv.names.push_back(std::move(name));
    }
    auto &s = decoder->speculation;
    s.stride = static_cast<uint32_t>((count + 80) / 16 * 16);
    s.ends.assign(size_t{s.stride} * blockRows + 32, 0);
}
