// Base64 of RFC 4648 section 4: sketches are published by the megabyte.
#include "CText.h"

#include <cstring>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#if defined(__AVX2__)
/// 24 bytes to 32 letters; reads 28 bytes from `bytes` on.
static inline void encode24(const uint8_t *bytes, char *text) {
    // Twelve bytes a half, three of them in each word: the second, first, third and second again, so that
    // each half word holds two of the four groups of six bits without a gap.
    const __m256i places = _mm256_setr_epi8(
        1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10, 1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10);
    __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i *>(bytes));
    __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i *>(bytes + 12));
    __m256i words = _mm256_shuffle_epi8(_mm256_set_m128i(high, low), places);
    // Groups 1 and 3 go down by 10 and 6 bits, groups 2 and 4 up by 4 and 8: multiplications shift each
    // half word by its own count.
    __m256i odd = _mm256_mulhi_epu16(
        _mm256_and_si256(words, _mm256_set1_epi32(0x0fc0fc00)), _mm256_set1_epi32(0x04000040));
    __m256i even = _mm256_mullo_epi16(
        _mm256_and_si256(words, _mm256_set1_epi32(0x003f03f0)), _mm256_set1_epi32(0x01000010));
    __m256i values = _mm256_or_si256(odd, even);
    // A letter is its value and an offset, which the range of the value decides: 0 for 26 to 51, 1 to 10
    // for digits, 11 and 12 for the two signs, 13 for 0 to 25.
    __m256i ranges = _mm256_subs_epu8(values, _mm256_set1_epi8(51));
    __m256i isUpper = _mm256_cmpgt_epi8(_mm256_set1_epi8(26), values);
    ranges = _mm256_or_si256(ranges, _mm256_and_si256(isUpper, _mm256_set1_epi8(13)));
    const __m256i offsets = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(71, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -19, -16, 65, 0, 0));
    __m256i letters = _mm256_add_epi8(values, _mm256_shuffle_epi8(offsets, ranges));
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(text), letters);
}
#endif

extern "C" void tm_base64(const uint8_t *bytes, size_t count, char *text) {
#if defined(__AVX2__)
    for (; count >= 28; count -= 24, bytes += 24, text += 32) encode24(bytes, text);
#endif
    for (; count >= 3; count -= 3, bytes += 3, text += 4) {
        uint32_t word = uint32_t{bytes[0]} << 16 | uint32_t{bytes[1]} << 8 | bytes[2];
        for (int i = 0; i < 4; i++) text[i] = alphabet[word >> (18 - 6 * i) & 63];
    }
    if (count == 0) return;
    uint32_t word = uint32_t{bytes[0]} << 16 | (count > 1 ? uint32_t{bytes[1]} << 8 : 0);
    text[0] = alphabet[word >> 18];
    text[1] = alphabet[word >> 12 & 63];
    text[2] = count > 1 ? alphabet[word >> 6 & 63] : '=';
    text[3] = '=';
}
