// JSON records, and rows of comma-separated values, to typed columns, one call a batch.
//
// Rows of a known layout are read in place (layout.hpp says how); all others by a walk: simdjson's
// structural index (which also validates UTF-8 and strings) tells where every token of a
// record begins; the walk over it is ours: it visits each field once, reads only wanted paths and
// checks those strictly. Values that nobody wants are checked for structure alone.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tm_json tm_json;
/// Of CDictionary.h.
typedef struct tm_dictionary tm_dictionary;

/// What a column is.
enum tm_json_kind {
    TM_JSON_NUMBER,
    TM_JSON_INTEGER,
    /// Text by value; integers and booleans become their text.
    TM_JSON_CATEGORY,
    /// Text alone.
    TM_JSON_TEXT,
    TM_JSON_BOOLEAN,
    TM_JSON_TIME_S,
    TM_JSON_TIME_MS,
    TM_JSON_TIME_US,
    TM_JSON_TIME_NS,
    TM_JSON_TIME_TEXT
};

/// Why a row has no value in a column.
enum tm_json_state {
    TM_JSON_VALUE = 0,
    TM_JSON_NULL = 1,
    TM_JSON_MISSING = 2,
    TM_JSON_WRONG_TYPE = 3,
    TM_JSON_NON_FINITE = 4
};

/// What became of a row. Rows that are not TM_JSON_ROW on entry are passed over.
enum tm_json_verdict {
    TM_JSON_ROW = 0,
    TM_JSON_EMPTY,
    TM_JSON_NOT_UTF8,
    TM_JSON_UNCLOSED_STRING,
    TM_JSON_CONTROL_CHARACTER,
    TM_JSON_TRUNCATED,
    TM_JSON_SYNTAX,
    TM_JSON_BAD_TOKEN,
    TM_JSON_NOT_AN_OBJECT,
    /// Set by the caller.
    TM_JSON_TOMBSTONE,
    TM_JSON_TOO_LONG,
    /// Of comma-separated values: more of them than there are columns.
    TM_JSON_TOO_MANY_FIELDS,
    /// A quote within a field that does not begin with one, or something behind the closing one.
    TM_JSON_STRAY_QUOTE,
    /// A field begins with a quote, and no other closes it.
    TM_JSON_UNCLOSED_QUOTE
};

/// One column of a batch. Arrays have a place for each row; exceptions are in the order of rows.
typedef struct {
    /// NUMBER, INTEGER: NaN where there is no value.
    double *numbers;
    /// TIME_*: milliseconds since 1970; INT64_MIN where there is no value.
    int64_t *times;
    /// CATEGORY, TEXT, BOOLEAN: code of `dictionary`; UINT32_MAX where there is no value.
    uint32_t *codes;
    /// Of a column of codes: where its texts go.
    tm_dictionary *dictionary;
    uint16_t *exception_rows;
    uint8_t *exception_states;
    uint32_t exception_count;
} tm_json_column;

/// A step of a path: a key, or (key NULL) the place in an array.
typedef struct {
    const uint8_t *key;
    size_t key_length;
    uint32_t index;
} tm_json_step;

tm_json *tm_json_new(void);
void tm_json_free(tm_json *decoder);

/// Adds the next column (numbered from 0). `null_values`: texts that mean null. `zone_*`: of a TIME_TEXT
/// column, the offsets in seconds of times that have none, by the local second from which each holds
/// (ascending; the first one holds before, too); none: they are UTC, and `tm_json_assumed_utc` counts them.
void tm_json_add(
    tm_json *decoder, int kind, int accept_text, const tm_json_step *steps, size_t step_count,
    const uint8_t *const *null_values, const size_t *null_lengths, size_t null_count,
    const int64_t *zone_from, const int32_t *zone_offsets, size_t zone_count);

/// Reads records as rows of comma-separated values (RFC 4180) from now on, after the last `tm_json_add`:
/// paths are one key, the name of a field. Fields are named in order, one at least; a row of the names (a
/// header), in quotes and with blanks around them or not, gets the verdict TM_JSON_TOMBSTONE.
void tm_json_use_csv(
    tm_json *decoder, const uint8_t *const *names, const size_t *lengths, size_t count,
    uint8_t separator);

/// Decodes rows 0 ..< row_count into row 0 ..< row_count of the columns. 64 readable bytes must
/// follow the last payload. `verdicts` is read and written.
void tm_json_decode(
    tm_json *decoder, const uint8_t *base, const uint32_t *start, const int32_t *length,
    uint32_t row_count, tm_json_column *columns, uint8_t *verdicts);

/// Whether rows are read by their layouts first (they are from the start, without vector
/// instructions), and with which: 0 none, 1 AVX2, 2 AVX-512, or the best below that the processor
/// has. Results are the same.
void tm_json_speculate(tm_json *decoder, int is_on, int tier);
/// Rows that were read by a layout, and rows that went through the walk, since the start.
void tm_json_row_counts(const tm_json *decoder, uint64_t *by_layout, uint64_t *walked);

/// The text of a JSON number as a double, correctly rounded. Returns a tm_json_state, or -1 when
/// the bytes are no JSON number.
int tm_json_parse_number(const uint8_t *bytes, size_t length, double *value);

/// Times without an offset that were read as UTC since no zone was given, since the start.
uint64_t tm_json_assumed_utc(const tm_json *decoder);

/// From now on the letters of values are kept as they are read, row by row (with layouts off): for a
/// decoder that says what is wrong with a record.
void tm_json_keep_token(tm_json *decoder);
/// The letters of the last value that was read since this was last asked, quotes of JSON included, at most
/// 256 bytes; NULL where there was none.
const uint8_t *tm_json_last_token(tm_json *decoder, size_t *length);

#ifdef __cplusplus
}
#endif
