// Whole JSON documents of small files, numbers as JSON has them, and base64.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// A whole document, for small files: a tree by DOM.

typedef struct tm_json_document tm_json_document;
enum tm_json_node {
    TM_JSON_NODE_NULL,
    TM_JSON_NODE_BOOLEAN,
    TM_JSON_NODE_NUMBER,
    TM_JSON_NODE_TEXT,
    TM_JSON_NODE_ARRAY,
    TM_JSON_NODE_OBJECT,
    TM_JSON_NODE_END
};
typedef struct {
    int kind;
    /// BOOLEAN: 0 or 1; NUMBER: the value.
    double number;
    /// NUMBER that is an integer within 64 bits: this is it, and is_integer is 1.
    int64_t integer;
    int is_integer;
    const uint8_t *text;
    size_t text_length;
} tm_json_event;

/// Parses; NULL and a reason if it is no JSON.
tm_json_document *tm_json_document_new(
    const uint8_t *bytes, size_t length, const char **reason);
void tm_json_document_free(tm_json_document *document);
/// The document as events, depth first: a value; for OBJECT then TEXT (key) and value in turn, then
/// END; for ARRAY the values, then END. Returns 0 after the last one.
int tm_json_document_next(tm_json_document *document, tm_json_event *event);

/// Writes the shortest text that reads back as the same number, with an exponent: `1.5e-07`. There is room for
/// 32 letters.
size_t tm_write_scientific(double value, char *text);

/// Writes the shortest text that reads back as the same double, without an exponent, of 25 letters at
/// most; returns how many, or 0 where another notation is wanted (an exponent, or a whole number).
size_t tm_json_write_number(double value, char *text);
/// The same for a float: it has the digits that a float needs.
size_t tm_json_write_float(float value, char *text);

/// Writes bytes as base64 with padding: four letters for each three bytes begun.
void tm_base64(const uint8_t *bytes, size_t count, char *text);

#ifdef __cplusplus
}
#endif
