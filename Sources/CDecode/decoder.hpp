#pragma once
#include "internal.hpp"
#include "layout.hpp"

#include <memory>
#include <simdjson.h>

namespace tidemark {

struct Column {
    int kind = TM_JSON_NUMBER;
    bool acceptText = false;
    std::vector<std::string> nullTexts;
    std::vector<double> nullNumbers;
    /// TIME_TEXT: what a time without an offset means.
    Zone zone;
};

/// A wanted place in a record: the columns read there, and the wanted places below it.
struct Place {
    struct Child { std::string key; uint32_t place; };
    std::vector<int> columns;
    std::vector<Child> keys;
    std::vector<std::pair<uint32_t, uint32_t>> elements;
    /// Every column at or below.
    std::vector<int> all;
    /// The one column read here, if it is one and nothing lies below; else -1.
    int only = -1;
};

/// What the last record had at this field of the outermost object. `place` is -1 for a field that
/// nobody wants.
/// The key stands with its closing quote, so that a longer one is told apart; until one is known,
/// a byte that no string may hold.
struct Expected {
    std::string key = "\x01";
    Sixteen head{1, 0};
    uint32_t length = 1;
    int32_t place = -1;

    void set(const uint8_t *bytes, size_t count, int32_t wanted) {
        key.assign(reinterpret_cast<const char *>(bytes), count);
        length = static_cast<uint32_t>(count);
        head = loadSixteen(bytes, count);
        place = wanted;
    }
    bool matches(const uint8_t *bytes) const {
        return loadSixteen(bytes, length) == head
            && (length <= 16 || memcmp(bytes + 16, key.data() + 16, length - 16) == 0);
    }
};

/// How records of comma-separated values are read.
struct CSV {
    uint8_t separator = ',';
    std::vector<std::string> names;
    /// By field: the columns that are read there.
    std::vector<std::vector<int>> columns;
};

inline constexpr size_t keptCapacity = 1 << 20;

} // namespace tidemark

struct tm_json {
    using Column = tidemark::Column;
    using Place = tidemark::Place;
    using Expected = tidemark::Expected;
    using Sixteen = tidemark::Sixteen;

    std::vector<Column> columns;
    std::vector<Place> places{1};
    std::vector<Expected> layout;
    std::unique_ptr<simdjson::internal::dom_parser_implementation> index;
    size_t capacity = 0;
    /// By column: the last row (plus one) that had a field for it.
    std::vector<uint32_t> seen;
    std::vector<uint8_t> scratch;

    // The record at hand.
    const uint8_t *base = nullptr;
    const uint8_t *bytes = nullptr;
    const uint32_t *token = nullptr;
    uint32_t at = 0, count = 0;
    uint32_t row = 0;
    uint32_t found = 0;
    tm_json_column *out = nullptr;
    /// Times without an offset that were read as UTC, since nobody named a zone.
    uint64_t assumedUTC = 0;
    /// Keeps the letters of the last value that was read by itself (`lastToken`), to say what is wrong with it.
    bool keepsToken = false, hasToken = false;
    std::string lastToken;

    uint8_t head() const { return bytes[token[at]]; }

    int record(const uint8_t *payload, size_t length);
    int object(uint32_t place, bool outermost);
    int array(uint32_t place);
    int value(uint32_t place);
    bool plain(int column);
    int skip();
    int scalar(int column);
    void put(int column, int state);
    void putNumber(int column, double number);
    void putText(int column, const uint8_t *text, size_t length);
    int putTimeNumber(int column, const uint8_t *text, size_t length);
    void putTimeText(int column, const uint8_t *text, size_t length);
    bool readTimeText(const Column &column, const uint8_t *text, size_t length, int64_t *ms);
    /// A number in quotes, or in a field of CSV.
    void putNumberText(int column, const uint8_t *text, size_t length);
    void putNumberAsText(int column, const uint8_t *first, size_t length, double value, int state);
    void keepToken(const uint8_t *first, size_t length);
    void forget(const Place &place);
    bool isNullText(const Column &column, const uint8_t *text, size_t length) const;
    int unescape(const uint8_t *text, size_t length, size_t *out);
    int child(const Place &place, const uint8_t *key, size_t length) const;
    /// The text of the string at hand without its quotes; false if the token is none.
    int text(const uint8_t **start, size_t *length);

    // Reading by layouts: see layout.hpp.
    tidemark::Speculation speculation;

    void walk(const uint8_t *payload, size_t length, uint8_t *verdict);
    void decode(const uint32_t *start, const int32_t *length, uint32_t rowCount, uint8_t *verdicts);
    void block(
        const uint32_t *start, const int32_t *length, uint32_t firstRow, uint32_t rowCount,
        uint8_t *verdicts);
    /// The layout of a row of the block (its place in the list), or -1.
    int layoutOf(uint32_t row, const tidemark::Counts &counts, uint32_t length);
    bool haveOneLayout(const tidemark::Counts *counts, uint32_t rowCount);
    void transpose(const tidemark::Layout &layout, const uint8_t *rows, uint32_t rowCount);
    void transposeRows(const uint8_t *rows, uint32_t rowCount, uint32_t placeCount);
    void readColumns(tidemark::Layout &layout, uint32_t firstRow, const uint8_t *all, uint32_t rowCount);
    void flush(uint32_t firstRow, uint64_t rows);
    bool takesQuotedNumbers(int32_t place) const;
    bool learn(const uint8_t *payload, size_t length);
    void tryToLearn(const uint8_t *payload, size_t length);

    // Comma-separated values: see csv.cpp.
    bool isCSV = false;
    tidemark::CSV csv;

    int csvRecord(const uint8_t *payload, size_t length);
    void csvScalar(int column, const uint8_t *first, size_t length, bool isQuoted);
    bool mayBeHeader(const uint8_t *payload, size_t length) const;
    bool isHeader(const uint8_t *payload, size_t length);
    void csvBlock(
        const uint32_t *start, const int32_t *length, uint32_t firstRow, uint32_t rowCount,
        uint8_t *verdicts);
    void csvColumns(uint32_t firstRow, const uint8_t *rows, uint32_t rowCount);
};
