// Regular expressions of RE2: time linear in the text, memory bounded.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// A compiled pattern. Several threads may match with it at once.
typedef struct tm_pattern tm_pattern;

/// Compiles a pattern. `NULL`: it is none, and `problem` says why, with a 0 at its end; `at` is the byte where
/// the part stands that is wrong, or the length of the pattern where that is not known.
///
/// `memory`: bytes that the pattern and its automata take at most.
tm_pattern *tm_pattern_new(
    const uint8_t *text, size_t length, int64_t memory, char *problem, size_t problemCapacity, size_t *at);
void tm_pattern_free(tm_pattern *pattern);

/// Whether the pattern occurs in a text.
bool tm_pattern_matches(const tm_pattern *pattern, const uint8_t *text, size_t length);

#ifdef __cplusplus
}
#endif
