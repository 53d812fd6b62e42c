// Texts of a column, numbered from 0 in the order of arrival: a column then holds numbers of 32 bits.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The texts of one column, with a code each; `UINT32_MAX` is no code.
typedef struct tm_dictionary tm_dictionary;

tm_dictionary *tm_dictionary_new(void);
void tm_dictionary_free(tm_dictionary *dictionary);

/// The code of a text, which is added if it is new.
uint32_t tm_dictionary_intern(tm_dictionary *dictionary, const uint8_t *bytes, size_t length);
/// How many texts there are: codes are smaller.
uint32_t tm_dictionary_count(const tm_dictionary *dictionary);
/// Memory that it holds, bytes.
size_t tm_dictionary_bytes(const tm_dictionary *dictionary);
/// The text of a code, which must be one; good until the next text is added or forgotten.
const uint8_t *tm_dictionary_text(const tm_dictionary *dictionary, uint32_t code, size_t *length);
/// Keeps the texts whose codes are marked in `used` (a byte each), and writes the new code of each old one
/// to `remap`; `UINT32_MAX` for what was forgotten.
void tm_dictionary_compact(tm_dictionary *dictionary, const uint8_t *used, uint32_t *remap);

#ifdef __cplusplus
}
#endif
