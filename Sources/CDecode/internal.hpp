#pragma once
#include "CDecode.h"

#include "../CDictionary/dictionary.hpp"

#include <bit>
#include <cstring>
#include <string>
#include <vector>
#if defined(__SSE4_1__)
#include <immintrin.h>
#endif

namespace tidemark {

/// Exact in a double.
inline constexpr double powersOfTen[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                     1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                     1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/// A plain decimal (`-12.345`) of at most 16 bytes, at one go; false leaves it to `readNumber`.
/// 16 bytes must be readable before `last`.
#if defined(__SSE4_1__)
inline bool readPlain(const uint8_t *first, const uint8_t *last, double *value) {
    ptrdiff_t length = last - first;
    bool negative = *first == '-';
    ptrdiff_t count = length - negative;
    if (length > 16 || count <= 0) return false;
    const __m128i places = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m128i text = _mm_loadu_si128(reinterpret_cast<const __m128i *>(last - 16));
    __m128i before = _mm_cmpgt_epi8(_mm_set1_epi8(static_cast<char>(16 - count)), places);
    text = _mm_blendv_epi8(text, _mm_set1_epi8('0'), before);
    __m128i digits = _mm_sub_epi8(text, _mm_set1_epi8('0'));
    auto dot = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(text, _mm_set1_epi8('.'))));
    const __m128i nine = _mm_set1_epi8(9);
    auto others = 0xffffU ^ static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_max_epu8(digits, nine), nine)));
    if (others != dot || (dot & (dot - 1))) return false;
    ptrdiff_t fraction = 0, whole = count;
    if (dot) {
        int place = __builtin_ctz(dot);
        fraction = 15 - place;
        whole = count - 1 - fraction;
        if (fraction == 0) return false;
        // What stands before the dot moves up by one.
        __m128i moved = _mm_sub_epi8(places, _mm_set1_epi8(1));
        __m128i behind = _mm_cmpgt_epi8(places, _mm_set1_epi8(static_cast<char>(place)));
        digits = _mm_shuffle_epi8(digits, _mm_blendv_epi8(moved, places, behind));
    }
    // One branch, nearly never taken: how long a number is and its sign cannot be foreseen.
    if ((whole == 0) | ((whole > 1) & (first[negative] == '0'))) return false;
    __m128i pairs = _mm_maddubs_epi16(digits, _mm_set1_epi16(0x010a));
    __m128i fours = _mm_madd_epi16(pairs, _mm_set1_epi32(0x00010064));
    __m128i packed = _mm_packus_epi32(fours, fours);
    __m128i eights = _mm_madd_epi16(packed, _mm_set1_epi32(0x00012710));
    auto both = static_cast<uint64_t>(_mm_cvtsi128_si64(eights));
    uint64_t mantissa = (both & 0xffffffff) * 100000000 + (both >> 32);
    if (mantissa > (1ULL << 53)) return false;
    double magnitude = static_cast<double>(mantissa) / powersOfTen[fraction];
    *value = std::bit_cast<double>(std::bit_cast<uint64_t>(magnitude) ^ uint64_t{negative} << 63);
    return true;
}
#else
inline bool readPlain(const uint8_t *, const uint8_t *, double *) { return false; }
#endif

/// Bytes behind the text are readable: see `tm_json_decode`.
inline bool hasBackslash(const uint8_t *text, size_t length) {
    if (length > 16) return memchr(text, '\\', length) != nullptr;
    Sixteen head = loadSixteen(text, length);
    constexpr uint64_t ones = 0x0101010101010101ULL, highs = 0x8080808080808080ULL;
    uint64_t low = head.low ^ (ones * '\\'), high = head.high ^ (ones * '\\');
    return (((low - ones) & ~low) | ((high - ones) & ~high)) & highs;
}

inline bool same(const uint8_t *bytes, size_t length, const char *word) {
    return strlen(word) == length && memcmp(bytes, word, length) == 0;
}

/// Reads a JSON number; see `tm_json_parse_number`. `end` receives the place after it.
int readNumber(const uint8_t *bytes, const uint8_t *limit, double *value, const uint8_t **end);

/// A number that stands for a time of `kind` (not TIME_TEXT), as milliseconds since 1970; false if
/// the text is no number. Exact: what is beyond a millisecond is cut off, never rounded up.
bool readTimeNumber(int kind, const uint8_t *text, size_t length, int64_t *ms);

/// What `readNumberText` says of `nan` and `inf`: a number that does not exist, in any kind of column.
inline constexpr int readsNoNumber = 100;

/// A number as a text: in a field of CSV, and in quotes in JSON. JSON's form, and `+1`, `.5`, `1.`, `007`,
/// `nan`, `inf`, `infinity` in any case.
///
/// Returns a tm_json_state, `readsNoNumber`, or -1 when it is none.
int readNumberText(const uint8_t *first, size_t length, double *value);

/// The offset from UTC of a place's clocks, by their own time.
struct Zone {
    /// Seconds since 1970 of the local clock, ascending, and the offset from UTC that holds from there on.
    /// The first offset holds before, too. Where clocks are put back, a time that comes twice is the first
    /// of the two; where they are put forward, a time that never comes is as far behind the leap.
    std::vector<int64_t> from;
    std::vector<int32_t> offsets;
    /// The topology names it; else it is UTC, which nobody said.
    bool isDeclared = false;

    int64_t offsetAt(int64_t local) const;
};

/// A date, or a date and a time, of ISO 8601, as milliseconds since 1970: with a T or a blank between,
/// with or without seconds, a fraction behind a dot or a comma, an offset (`Z`, `UTC`, `+01:00`, `+0100`,
/// `+01`) or none. `isNaive`: it has none, and `zone` says what it means.
bool readTimeText(const Zone &zone, const uint8_t *bytes, size_t length, int64_t *ms, bool *isNaive);

/// Files that come from elsewhere begin with it; a record may.
inline constexpr uint8_t byteOrderMark[] = {0xef, 0xbb, 0xbf};

inline bool isBlank(uint8_t c) { return c == ' ' || c == '\t'; }

/// The text without blanks around it.
inline void trim(const uint8_t **first, size_t *length) {
    while (*length && isBlank(**first)) ++*first, --*length;
    while (*length && isBlank((*first)[*length - 1])) --*length;
}

} // namespace tidemark
