// The loops of the layout reader that pay for vector instructions: plain, AVX2 and AVX-512 forms
// with equal results. One file, because a loop and its vector forms are read beside each other: who
// changes one changes all.
#include "internal.hpp"
#include "layout.hpp"

#include <bit>
#include <cmath>

namespace tidemark {

// MARK: Plain

static Counts scanPlain(const uint8_t *record, uint32_t length, uint16_t *ends, uint32_t room) {
    Counts counts;
    uint32_t commas = 0;
    bool isInside = false;
    for (uint32_t i = 0; i < length; i++) {
        uint8_t c = record[i];
        counts.controls += c < 0x20;
        counts.wides += c >= 0x80;
        counts.isDoubtful |= c == '\\';
        if (c == '"') {
            counts.quotes++;
            isInside = !isInside;
        } else if (!isInside) {
            if (c == ',') {
                if (commas + 1 >= room) {
                    counts.isDoubtful = true;
                    return counts;
                }
                ends[commas++] = static_cast<uint16_t>(i);
            }
            counts.marks += c == ',' || c == ':' || c == ' ' || c == '{' || c == '}' || c == '[' || c == ']';
        }
    }
    ends[commas] = static_cast<uint16_t>(length);
    counts.segments = commas + 1;
    return counts;
}

static bool matchesLengths(const Layout &layout, const uint16_t *ends) {
    bool isLong = true;
    int previous = 0;
    for (size_t i = 0; i < layout.lengths.size(); i++) {
        isLong &= ends[i] - previous >= layout.lengths[i];
        previous = ends[i];
    }
    return isLong;
}

static bool matchesPlain(const Layout &layout, const uint8_t *record, const uint16_t *ends, bool loose) {
    if (!matchesLengths(layout, ends)) return false;
    for (const Literal &literal : layout.literals) {
        const uint8_t *bytes = record + (literal.segment ? ends[literal.segment - 1] : 0) + literal.offset;
        const uint8_t *mask = loose ? literal.looseMask : literal.mask;
        for (size_t i = 0; i < 32; i++)
            if ((bytes[i] ^ literal.bytes[i]) & mask[i]) return false;
    }
    return true;
}

/// A decimal from its digits as an integer and its places behind the dot, correctly rounded; false
/// where that is not certain. No branch depends on the sign or the size.
static inline bool divide(uint64_t mantissa, ptrdiff_t fraction, bool negative, double *value) {
    // high + low is the mantissa, exactly. The first quotient leaves an exact remainder; the second is
    // off by less than 2^-51 of itself. Where both ends of that range round to the same sum, it is the
    // correctly rounded one.
    double power = powersOfTen[fraction];
    double high = static_cast<double>(mantissa);
    double low = static_cast<double>(static_cast<int64_t>(mantissa - static_cast<uint64_t>(high)));
    double first = high / power;
    double second = (std::fma(-first, power, high) + low) / power;
    double quotient = first + second * (1 + 0x1p-48);
    *value = std::bit_cast<double>(std::bit_cast<uint64_t>(quotient) ^ uint64_t{negative} << 63);
    return quotient == first + second * (1 - 0x1p-48);
}

static bool readLongPlain(const uint8_t *first, const uint8_t *last, double *value) {
    bool negative = *first == '-';
    ptrdiff_t count = last - first - negative;
    if (count <= 0 || count > 32) return false;
    const uint8_t *at = first + negative;
    if (at[0] == '0' && count > 1 && at[1] != '.') return false;
    uint64_t mantissa = 0;
    ptrdiff_t significant = 0, fraction = 0, whole = 0;
    bool isBehind = false;
    for (; at < last; at++) {
        auto digit = static_cast<uint8_t>(*at - '0');
        if (*at == '.' && !isBehind && whole) {
            isBehind = true;
            continue;
        }
        if (digit > 9) return false;
        whole += !isBehind;
        fraction += isBehind;
        significant += significant || digit;
        if (significant > 19) return false;
        mantissa = mantissa * 10 + digit;
    }
    if ((isBehind && fraction == 0) || fraction > 22) return false;
    return divide(mantissa, fraction, negative, value);
}

static bool allLong(const Layout &layout, const uint16_t *places, uint32_t rowCount) {
    uint32_t shorts = 0;
    for (size_t i = 0; i < layout.lengths.size(); i++) {
        const uint16_t *ends = places + 64 * i;
        for (uint32_t row = 0; row < rowCount; row++)
            shorts |= static_cast<uint16_t>(ends[64 + row] - ends[row]) < layout.lengths[i];
    }
    return !shorts;
}

static bool allMatchPlain(
    const Layout &layout, const uint8_t *const *record, const uint16_t *places, uint32_t rowCount) {
    if (!allLong(layout, places, rowCount)) return false;
    for (const Literal &literal : layout.literals)
        for (uint32_t row = 0; row < rowCount; row++) {
            const uint8_t *bytes = record[row] + places[64 * size_t{literal.segment} + row] + literal.offset;
            for (size_t i = 0; i < 32; i++)
                if ((bytes[i] ^ literal.bytes[i]) & literal.mask[i]) return false;
        }
    return true;
}

#if defined(__AVX2__)
static bool readLongAVX2(const uint8_t *first, const uint8_t *last, double *value) {
    bool negative = *first == '-';
    ptrdiff_t count = last - first - negative;
    if (count <= 0 || count > 32) return false;
    const __m256i zero = _mm256_set1_epi8('0'), nine = _mm256_set1_epi8(9);
    const __m256i places = _mm256_setr_epi8(
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27,
        28, 29, 30, 31);
    __m256i text = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(last - 32));
    __m256i digits = _mm256_sub_epi8(text, zero);
    uint32_t body = count == 32 ? UINT32_MAX : ~((1u << (32 - count)) - 1);
    auto dot = static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(text, _mm256_set1_epi8('.')))) & body;
    auto isDigit = static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(digits, nine), nine)));
    if (((isDigit | dot) & body) != body || (dot & (dot - 1))) return false;
    ptrdiff_t fraction = 0, digitCount = count;
    if (dot) {
        int place = std::countr_zero(dot);
        fraction = 31 - place;
        digitCount = count - 1;
        // What stands before the dot moves up by one.
        __m256i moved = _mm256_sub_epi8(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(last - 33)), zero);
        digits = _mm256_blendv_epi8(moved, digits, _mm256_cmpgt_epi8(places, _mm256_set1_epi8(static_cast<char>(place))));
        if (fraction == 0 || fraction > 22) return false;
    }
    ptrdiff_t whole = digitCount - fraction;
    if ((whole == 0) | ((whole > 1) & (first[negative] == '0'))) return false;
    digits = _mm256_andnot_si256(_mm256_cmpgt_epi8(_mm256_set1_epi8(static_cast<char>(32 - digitCount)), places), digits);
    __m256i fours = _mm256_madd_epi16(_mm256_maddubs_epi16(digits, _mm256_set1_epi16(0x010a)), _mm256_set1_epi32(0x00010064));
    __m256i eights = _mm256_madd_epi16(_mm256_packus_epi32(fours, fours), _mm256_set1_epi32(0x00012710));
    auto upper = static_cast<uint64_t>(_mm256_extract_epi64(eights, 0));
    auto lower = static_cast<uint64_t>(_mm256_extract_epi64(eights, 2));
    upper = (upper & 0xffffffff) * 100000000 + (upper >> 32);
    lower = (lower & 0xffffffff) * 100000000 + (lower >> 32);
    if (upper > 999) return false;
    return divide(upper * 10000000000000000 + lower, fraction, negative, value);
}
#endif

bool readLong(Tier tier, const uint8_t *first, const uint8_t *last, double *value) {
#if defined(__AVX2__)
    if (tier != Tier::scalar) return readLongAVX2(first, last, value);
#endif
    return readLongPlain(first, last, value);
}

static uint64_t readOneByOne(Tier tier, const ValuePlaces &places, uint32_t rowCount, double *values) {
    uint64_t missed = 0;
    for (uint32_t i = 0; i < rowCount; i++) {
        const uint8_t *first = places.first(i), *last = places.last(i);
        bool isRead = tier == Tier::scalar ? readLongPlain(first, last, values + i) : readPlain(first, last, values + i);
        missed |= static_cast<uint64_t>(!isRead) << i;
    }
    return missed;
}

#if defined(__x86_64__)

// MARK: AVX2

namespace {

/// The bits of 64 bytes that interest the reader.
struct Masks { uint64_t quote, comma, mark, backslash, control, wide; };

/// A bit for each byte that has an odd number of quotes at or before it.
inline uint64_t inside(uint64_t quotes, uint64_t carry) {
    __m128i product = _mm_clmulepi64_si128(_mm_set_epi64x(0, static_cast<int64_t>(quotes)), _mm_set1_epi8(-1), 0);
    return static_cast<uint64_t>(_mm_cvtsi128_si64(product)) ^ carry;
}

inline Masks masks(const uint8_t *bytes) {
    // By low nibble, the one of " :,{}" that has it; brackets become braces with bit 5.
    const __m256i table = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(' ', 0, 0, 0, 0, 0, 0, 0, 0, 0, ':', '{', ',', '}', 0, 0));
    Masks all{};
    for (int half = 0; half < 2; half++) {
        __m256i text = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(bytes + 32 * half));
        auto bits = [half](__m256i matches) {
            return static_cast<uint64_t>(static_cast<uint32_t>(_mm256_movemask_epi8(matches))) << (32 * half);
        };
        all.quote |= bits(_mm256_cmpeq_epi8(text, _mm256_set1_epi8('"')));
        all.comma |= bits(_mm256_cmpeq_epi8(text, _mm256_set1_epi8(',')));
        all.backslash |= bits(_mm256_cmpeq_epi8(text, _mm256_set1_epi8('\\')));
        __m256i raised = _mm256_or_si256(text, _mm256_set1_epi8(0x20));
        __m256i control = _mm256_cmpeq_epi8(_mm256_min_epu8(text, _mm256_set1_epi8(0x1f)), text);
        all.control |= bits(control);
        all.mark |= bits(_mm256_andnot_si256(control, _mm256_cmpeq_epi8(_mm256_shuffle_epi8(table, text), raised)));
        all.wide |= bits(text);
    }
    return all;
}

} // namespace

static Counts scanAVX2(const uint8_t *record, uint32_t length, uint16_t *ends, uint32_t room) {
    Counts counts;
    uint64_t carry = 0, backslashes = 0;
    uint32_t commas = 0;
    for (uint32_t at = 0; at < length; at += 64) {
        Masks all = masks(record + at);
        uint64_t live = length - at >= 64 ? UINT64_MAX : (1ULL << (length - at)) - 1;
        all.quote &= live;
        uint64_t in = inside(all.quote, carry);
        carry = 0 - (in >> 63);
        uint64_t outside = live & ~in;
        backslashes |= all.backslash & live;
        counts.quotes += static_cast<uint32_t>(std::popcount(all.quote));
        counts.marks += static_cast<uint32_t>(std::popcount(all.mark & outside));
        if (uint64_t odd = (all.control | all.wide) & live) {
            counts.controls += static_cast<uint32_t>(std::popcount(all.control & odd));
            counts.wides += static_cast<uint32_t>(std::popcount(all.wide & odd));
        }
        uint64_t found = all.comma & outside;
        auto count = static_cast<uint32_t>(std::popcount(found));
        if (commas + count + 1 >= room) {
            counts.isDoubtful = true;
            return counts;
        }
        for (uint32_t i = 0; i < count; i++) {
            ends[commas + i] = static_cast<uint16_t>(at + static_cast<uint32_t>(std::countr_zero(found)));
            found &= found - 1;
        }
        commas += count;
    }
    counts.isDoubtful = backslashes != 0;
    ends[commas] = static_cast<uint16_t>(length);
    counts.segments = commas + 1;
    return counts;
}

static bool matchesAVX2(const Layout &layout, const uint8_t *record, const uint16_t *ends, bool loose) {
    if (!matchesLengths(layout, ends)) return false;
    __m256i differs = _mm256_setzero_si256();
    for (const Literal &literal : layout.literals) {
        // `ends[-1]` is 0.
        const uint8_t *place = record + ends[static_cast<ptrdiff_t>(literal.segment) - 1] + literal.offset;
        __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(place));
        __m256i wanted = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(literal.bytes));
        __m256i mask = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(loose ? literal.looseMask : literal.mask));
        differs = _mm256_or_si256(differs, _mm256_and_si256(_mm256_xor_si256(bytes, wanted), mask));
    }
    return _mm256_testz_si256(differs, differs);
}

static bool allMatchAVX2(
    const Layout &layout, const uint8_t *const *record, const uint16_t *places, uint32_t rowCount) {
    if (!allLong(layout, places, rowCount)) return false;
    __m256i differs = _mm256_setzero_si256();
    for (const Literal &literal : layout.literals) {
        __m256i wanted = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(literal.bytes));
        __m256i mask = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(literal.mask));
        const uint16_t *ends = places + 64 * size_t{literal.segment};
        for (uint32_t row = 0; row < rowCount; row++) {
            const uint8_t *place = record[row] + ends[row] + literal.offset;
            __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(place));
            differs = _mm256_or_si256(differs, _mm256_and_si256(_mm256_xor_si256(bytes, wanted), mask));
        }
    }
    return _mm256_testz_si256(differs, differs);
}

// As `readEightAVX512`, two rows a register; what is true of a byte is a bit of a row's word there too.
static inline uint32_t readEightAVX2(const ValuePlaces &places, uint32_t row, double *values) {
    __m128i commas = _mm_loadu_si128(reinterpret_cast<const __m128i *>(places.commaBehind + row));
    __m128i length = _mm_sub_epi16(
        _mm_sub_epi16(commas, _mm_loadu_si128(reinterpret_cast<const __m128i *>(places.commaBefore + row))),
        _mm_set1_epi16(static_cast<int16_t>(places.before + places.behind)));
    const __m256i zero = _mm256_set1_epi8('0'), nine = _mm256_set1_epi8(9);
    const __m256i point = _mm256_set1_epi8('.'), minus = _mm256_set1_epi8('-');
    const __m128i none = _mm_setzero_si128(), one = _mm_set1_epi16(1);
    __m256i digits[4];
    int digitBits[4], dotBits[4], signBits[4], naughtBits[4];
    for (uint32_t i = 0; i < 4; i++) {
        auto load = [&](uint32_t j) {
            return _mm_loadu_si128(reinterpret_cast<const __m128i *>(places.last(row + j) - 16));
        };
        __m256i text = _mm256_set_m128i(load(2 * i + 1), load(2 * i));
        digits[i] = _mm256_sub_epi8(text, zero);
        digitBits[i] = _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(digits[i], nine), nine));
        dotBits[i] = _mm256_movemask_epi8(_mm256_cmpeq_epi8(text, point));
        signBits[i] = _mm256_movemask_epi8(_mm256_cmpeq_epi8(text, minus));
        naughtBits[i] = _mm256_movemask_epi8(_mm256_cmpeq_epi8(text, zero));
    }
    auto words = [](const int *bits) { return _mm_setr_epi32(bits[0], bits[1], bits[2], bits[3]); };
    __m128i digit = words(digitBits), dot = words(dotBits), sign = words(signBits), naught = words(naughtBits);

    // The first byte's bit: 1 << (16 - length), by table, low and high byte.
    __m128i good = _mm_and_si128(_mm_cmpgt_epi16(length, none), _mm_cmpgt_epi16(_mm_set1_epi16(17), length));
    __m128i shift = _mm_and_si128(_mm_sub_epi16(_mm_set1_epi16(16), length), _mm_set1_epi16(15));
    shift = _mm_or_si128(shift, _mm_slli_epi16(shift, 8));
    const __m128i lowPowers = _mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m128i highPowers = _mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, -128);
    __m128i edge = _mm_blendv_epi8(
        _mm_shuffle_epi8(lowPowers, shift), _mm_shuffle_epi8(highPowers, shift), _mm_set1_epi16(INT16_MIN >> 7));
    __m128i text = _mm_sub_epi16(none, edge);
    sign = _mm_and_si128(sign, edge);
    __m128i body = _mm_andnot_si128(sign, text);
    __m128i head = _mm_add_epi16(edge, sign);
    digit = _mm_and_si128(digit, body);
    dot = _mm_and_si128(dot, body);
    good = _mm_and_si128(good, _mm_cmpeq_epi16(_mm_or_si128(digit, dot), body));
    good = _mm_and_si128(good, _mm_cmpeq_epi16(_mm_and_si128(dot, _mm_sub_epi16(dot, one)), none));
    good = _mm_andnot_si128(_mm_cmpeq_epi16(_mm_and_si128(digit, head), none), good);
    good = _mm_and_si128(good, _mm_cmpgt_epi16(none, digit));
    // No digit may follow a zero in front.
    good = _mm_and_si128(
        good, _mm_cmpeq_epi16(_mm_and_si128(_mm_slli_epi16(_mm_and_si128(naught, head), 1), digit), none));

    __m128i isWhole = _mm_cmpeq_epi16(dot, none);
    __m128i behind = _mm_or_si128(isWhole, _mm_sub_epi16(none, _mm_slli_epi16(dot, 1)));
    const __m128i nibble = _mm_set1_epi8(15);
    const __m128i bitCounts = _mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    __m128i fraction = _mm_add_epi8(
        _mm_shuffle_epi8(bitCounts, _mm_and_si128(behind, nibble)),
        _mm_shuffle_epi8(bitCounts, _mm_and_si128(_mm_srli_epi16(behind, 4), nibble)));
    fraction = _mm_and_si128(_mm_add_epi8(fraction, _mm_srli_epi16(fraction, 8)), _mm_set1_epi16(15));
    fraction = _mm_andnot_si128(isWhole, fraction);
    // What stands before the dot moves up by one.
    __m128i kept = _mm_or_si128(_mm_and_si128(digit, behind), _mm_slli_epi16(_mm_andnot_si128(behind, digit), 1));
    const __m256i bit = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201ULL));
    __m256i spread = _mm256_setr_epi8(
        0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
    const __m256i tens = _mm256_set1_epi16(0x010a), hundreds = _mm256_set1_epi32(0x00010064);
    for (auto &pair : digits) {
        auto bytes = [&](__m128i word) {
            return _mm256_cmpeq_epi8(_mm256_and_si256(_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(word), spread), bit), bit);
        };
        pair = _mm256_and_si256(bytes(kept), _mm256_blendv_epi8(_mm256_slli_si256(pair, 1), pair, bytes(behind)));
        pair = _mm256_madd_epi16(_mm256_maddubs_epi16(pair, tens), hundreds);
        spread = _mm256_add_epi8(spread, _mm256_set1_epi8(4));
    }
    __m128i minuses = _mm_andnot_si128(_mm_cmpeq_epi16(sign, none), _mm_set1_epi16(-1));
    int tooLarge = 0;
    for (int four = 0; four < 2; four++) {
        // In the order of rows 0 2 1 3, two halves of eight digits each.
        __m256i halves = _mm256_madd_epi16(
            _mm256_packus_epi32(digits[2 * four], digits[2 * four + 1]), _mm256_set1_epi32(0x00012710));
        __m256i mantissa = _mm256_add_epi64(
            _mm256_mul_epu32(halves, _mm256_set1_epi64x(100000000)), _mm256_srli_epi64(halves, 32));
        mantissa = _mm256_permute4x64_epi64(mantissa, _MM_SHUFFLE(3, 1, 2, 0));
        tooLarge |= _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpgt_epi64(mantissa, _mm256_set1_epi64x(1LL << 53))))
            << (4 * four);
        // Upper and lower half as doubles of 2^84 and 2^52, of which both are taken off again.
        __m256i upper = _mm256_or_si256(_mm256_srli_epi64(mantissa, 32), _mm256_set1_epi64x(0x4530000000000000));
        __m256i lower = _mm256_blend_epi32(mantissa, _mm256_set1_epi64x(0x4330000000000000), 0xaa);
        __m256d number = _mm256_add_pd(
            _mm256_sub_pd(_mm256_castsi256_pd(upper), _mm256_set1_pd(0x1p84 + 0x1p52)), _mm256_castsi256_pd(lower));
        __m128i place = _mm_cvtepu16_epi32(four ? _mm_srli_si128(fraction, 8) : fraction);
        __m256d value = _mm256_div_pd(number, _mm256_i32gather_pd(powersOfTen, place, 8));
        __m256i negative = _mm256_slli_epi64(_mm256_cvtepi16_epi64(four ? _mm_srli_si128(minuses, 8) : minuses), 63);
        _mm256_storeu_pd(values + 4 * four, _mm256_xor_pd(value, _mm256_castsi256_pd(negative)));
    }
    auto isGood = static_cast<uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(good, none)));
    return (~isGood | static_cast<uint32_t>(tooLarge)) & 0xff;
}

static uint64_t readPlainAVX2(const ValuePlaces &places, uint32_t rowCount, double *values) {
    uint64_t missed = 0;
    for (uint32_t row = 0; row < rowCount; row += 8)
        missed |= uint64_t{readEightAVX2(places, row, values + row)} << row;
    return missed;
}

// MARK: AVX-512

#define TM_AVX512                                                                                   \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi2,avx512bitalg,avx512vpopcntdq,"  \
                          "pclmul,bmi,bmi2,lzcnt,popcnt,fma,avx2")))

TM_AVX512 static Counts scanAVX512(const uint8_t *record, uint32_t length, uint16_t *ends, uint32_t room) {
    const __m512i table = _mm512_broadcast_i32x4(
        _mm_setr_epi8(' ', 0, 0, 0, 0, 0, 0, 0, 0, 0, ':', '{', ',', '}', 0, 0));
    alignas(64) static const uint8_t numbers[64] = {
        0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
        22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
        44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
    const __m512i places = _mm512_load_si512(numbers);
    const __m512i filling = _mm512_set1_epi8('0'), space = _mm512_set1_epi8(0x20);
    Counts counts;
    uint64_t carry = 0, backslashes = 0;
    uint32_t commas = 0;
    for (uint32_t at = 0; at < length; at += 64) {
        uint64_t live = length - at >= 64 ? UINT64_MAX : (1ULL << (length - at)) - 1;
        __m512i text = _mm512_mask_loadu_epi8(filling, live, record + at);
        uint64_t quote = _mm512_cmpeq_epi8_mask(text, _mm512_set1_epi8('"'));
        __m128i product = _mm_clmulepi64_si128(
            _mm_cvtsi64_si128(static_cast<int64_t>(quote)), _mm_set1_epi8(-1), 0);
        uint64_t in = static_cast<uint64_t>(_mm_cvtsi128_si64(product)) ^ carry;
        carry = 0 - (in >> 63);
        uint64_t found = _mm512_cmpeq_epi8_mask(text, _mm512_set1_epi8(',')) & ~in;
        uint64_t mark = _mm512_cmpeq_epi8_mask(_mm512_shuffle_epi8(table, text), _mm512_or_si512(text, space)) & ~in;
        backslashes |= _mm512_cmpeq_epi8_mask(text, _mm512_set1_epi8('\\'));
        // As signed numbers, what is below 0x20 or above 0x7f.
        if (uint64_t odd = _mm512_cmplt_epi8_mask(text, space)) {
            uint64_t wide = _mm512_movepi8_mask(text);
            counts.wides += static_cast<uint32_t>(_mm_popcnt_u64(wide));
            counts.controls += static_cast<uint32_t>(_mm_popcnt_u64(odd & ~wide));
            mark &= ~odd;
        }
        counts.quotes += static_cast<uint32_t>(_mm_popcnt_u64(quote));
        counts.marks += static_cast<uint32_t>(_mm_popcnt_u64(mark));
        auto count = static_cast<uint32_t>(_mm_popcnt_u64(found));
        // A store takes 32 bytes, whatever their number.
        if (commas + count + 32 >= room) {
            counts.isDoubtful = true;
            return counts;
        }
        __m512i packed = _mm512_maskz_compress_epi8(found, places);
        __m256i base = _mm256_set1_epi16(static_cast<int16_t>(at));
        uint16_t *to = ends + commas;
        _mm256_storeu_si256(
            reinterpret_cast<__m256i *>(to), _mm256_add_epi16(base, _mm256_cvtepu8_epi16(_mm512_castsi512_si128(packed))));
        if (__builtin_expect(count > 16, 0)) {
            alignas(64) uint8_t rest[64];
            _mm512_store_si512(rest, packed);
            for (uint32_t i = 16; i < count; i++) to[i] = static_cast<uint16_t>(at + rest[i]);
        }
        commas += count;
    }
    counts.isDoubtful = backslashes != 0;
    ends[commas] = static_cast<uint16_t>(length);
    counts.segments = commas + 1;
    return counts;
}

TM_AVX512 static bool matchesAVX512(const Layout &layout, const uint8_t *record, const uint16_t *ends, bool loose) {
    size_t count = layout.lengths.size();
    uint32_t tooShort = 0;
    for (size_t i = 0; i < count; i += 32) {
        __mmask32 live = count - i >= 32 ? UINT32_MAX : (1u << (count - i)) - 1;
        __m512i end = _mm512_maskz_loadu_epi16(live, ends + i);
        __m512i previous = _mm512_maskz_loadu_epi16(live, ends + i - 1);
        __m512i least = _mm512_maskz_loadu_epi16(live, layout.lengths.data() + i);
        tooShort |= _mm512_mask_cmplt_epu16_mask(live, _mm512_sub_epi16(end, previous), least);
    }
    if (tooShort) return false;
    __m256i differs = _mm256_setzero_si256();
    for (const Literal &literal : layout.literals) {
        const uint8_t *place = record + ends[static_cast<ptrdiff_t>(literal.segment) - 1] + literal.offset;
        __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(place));
        __m256i wanted = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(literal.bytes));
        __m256i mask = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(loose ? literal.looseMask : literal.mask));
        // differs | ((bytes ^ wanted) & mask)
        differs = _mm256_ternarylogic_epi64(differs, _mm256_xor_si256(bytes, wanted), mask, 0xf8);
    }
    return _mm256_testz_si256(differs, differs);
}

// Eight texts lie right-aligned in 16 bytes each, rows 0 to 3 in one register, 4 to 7 in another. What
// is true of a byte becomes a bit of a row's 16-bit word, so that one 128-bit register holds a
// property of all eight.
TM_AVX512 static inline uint32_t readEightAVX512(const ValuePlaces &places, uint32_t row, double *values) {
    __m128i commas = _mm_loadu_si128(reinterpret_cast<const __m128i *>(places.commaBehind + row));
    __m128i length = _mm_sub_epi16(
        _mm_sub_epi16(commas, _mm_loadu_si128(reinterpret_cast<const __m128i *>(places.commaBefore + row))),
        _mm_set1_epi16(static_cast<int16_t>(places.before + places.behind)));
    alignas(64) uint64_t ends[8];
    _mm512_store_si512(
        ends, _mm512_add_epi64(
                  _mm512_loadu_si512(places.record + row),
                  _mm512_sub_epi64(_mm512_cvtepu16_epi64(commas), _mm512_set1_epi64(16 + int64_t{places.behind}))));
    auto four = [&](int from) TM_AVX512 {
        auto text = [&](int i) TM_AVX512 { return _mm_loadu_si128(reinterpret_cast<const __m128i *>(ends[from + i])); };
        __m512i all = _mm512_castsi128_si512(text(0));
        all = _mm512_inserti32x4(all, text(1), 1);
        all = _mm512_inserti32x4(all, text(2), 2);
        return _mm512_inserti32x4(all, text(3), 3);
    };
    auto words = [](uint64_t low, uint64_t high) TM_AVX512 {
        return _mm_set_epi64x(static_cast<int64_t>(high), static_cast<int64_t>(low));
    };
    const __m512i zero = _mm512_set1_epi8('0'), nine = _mm512_set1_epi8(9);
    const __m512i point = _mm512_set1_epi8('.'), minus = _mm512_set1_epi8('-');
    const __m128i none = _mm_setzero_si128(), one = _mm_set1_epi16(1);
    __m512i low = four(0), high = four(4);
    __m512i lowDigits = _mm512_sub_epi8(low, zero), highDigits = _mm512_sub_epi8(high, zero);
    __m128i digit = words(_mm512_cmple_epu8_mask(lowDigits, nine), _mm512_cmple_epu8_mask(highDigits, nine));
    __m128i dot = words(_mm512_cmpeq_epi8_mask(low, point), _mm512_cmpeq_epi8_mask(high, point));
    __m128i sign = words(_mm512_cmpeq_epi8_mask(low, minus), _mm512_cmpeq_epi8_mask(high, minus));
    __m128i naught = words(_mm512_cmpeq_epi8_mask(low, zero), _mm512_cmpeq_epi8_mask(high, zero));

    // The first byte's bit, all bits from it on, and the same without a sign.
    __m128i edge = _mm_sllv_epi16(one, _mm_sub_epi16(_mm_set1_epi16(16), length));
    __m128i text = _mm_sub_epi16(none, edge);
    sign = _mm_and_si128(sign, edge);
    __m128i body = _mm_andnot_si128(sign, text);
    __m128i head = _mm_add_epi16(edge, sign);
    digit = _mm_and_si128(digit, body);
    dot = _mm_and_si128(dot, body);
    __mmask8 good = _mm_cmpeq_epi16_mask(_mm_or_si128(digit, dot), body);
    good &= _mm_testn_epi16_mask(dot, _mm_sub_epi16(dot, one));
    good &= _mm_test_epi16_mask(digit, head);
    good &= _mm_test_epi16_mask(digit, _mm_set1_epi16(INT16_MIN));
    // No digit may follow a zero in front.
    good &= _mm_testn_epi16_mask(_mm_slli_epi16(_mm_and_si128(naught, head), 1), digit);
    good &= _mm_cmple_epu16_mask(length, _mm_set1_epi16(16));

    __mmask8 isWhole = _mm_testn_epi16_mask(dot, dot);
    __m128i behind = _mm_mask_blend_epi16(isWhole, _mm_sub_epi16(none, _mm_slli_epi16(dot, 1)), _mm_set1_epi16(-1));
    __m128i fraction = _mm_maskz_popcnt_epi16(static_cast<__mmask8>(~isWhole), behind);
    // What stands before the dot moves up by one.
    __m128i kept = _mm_or_si128(_mm_and_si128(digit, behind), _mm_slli_epi16(_mm_andnot_si128(behind, digit), 1));
    auto lowBehind = static_cast<uint64_t>(_mm_cvtsi128_si64(behind)), highBehind = static_cast<uint64_t>(_mm_extract_epi64(behind, 1));
    auto lowKept = static_cast<uint64_t>(_mm_cvtsi128_si64(kept)), highKept = static_cast<uint64_t>(_mm_extract_epi64(kept, 1));
    lowDigits = _mm512_maskz_mov_epi8(lowKept, _mm512_mask_blend_epi8(lowBehind, _mm512_bslli_epi128(lowDigits, 1), lowDigits));
    highDigits = _mm512_maskz_mov_epi8(highKept, _mm512_mask_blend_epi8(highBehind, _mm512_bslli_epi128(highDigits, 1), highDigits));
    const __m512i tens = _mm512_set1_epi16(0x010a), hundreds = _mm512_set1_epi32(0x00010064), myriads = _mm512_set1_epi32(0x00012710);
    lowDigits = _mm512_madd_epi16(_mm512_maddubs_epi16(lowDigits, tens), hundreds);
    highDigits = _mm512_madd_epi16(_mm512_maddubs_epi16(highDigits, tens), hundreds);
    // In the order of rows 0 4 1 5 2 6 3 7, two halves of eight digits each.
    __m512i halves = _mm512_madd_epi16(_mm512_packus_epi32(lowDigits, highDigits), myriads);
    __m512i mantissa = _mm512_add_epi64(_mm512_mul_epu32(halves, _mm512_set1_epi64(100000000)), _mm512_srli_epi64(halves, 32));
    mantissa = _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), mantissa);
    good &= _mm512_cmple_epu64_mask(mantissa, _mm512_set1_epi64(1LL << 53));
    __m512d power = _mm512_permutex2var_pd(
        _mm512_loadu_pd(powersOfTen), _mm512_cvtepu16_epi64(fraction), _mm512_loadu_pd(powersOfTen + 8));
    __m512d value = _mm512_div_pd(_mm512_cvtepu64_pd(mantissa), power);
    __m512i bits = _mm512_castpd_si512(value);
    bits = _mm512_mask_xor_epi64(bits, _mm_test_epi16_mask(sign, sign), bits, _mm512_set1_epi64(INT64_MIN));
    _mm512_storeu_si512(values, bits);
    return static_cast<uint8_t>(~good);
}

TM_AVX512 static uint64_t readPlainAVX512(const ValuePlaces &places, uint32_t rowCount, double *values) {
    uint64_t missed = 0;
    for (uint32_t row = 0; row < rowCount; row += 8)
        missed |= uint64_t{readEightAVX512(places, row, values + row)} << row;
    return missed;
}

#endif

// MARK: The choice

Tier availableTier(int wanted) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (wanted >= 2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512bitalg")
        && __builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("pclmul"))
        return Tier::avx512;
    if (wanted >= 1 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("pclmul")) return Tier::avx2;
#endif
    return Tier::scalar;
}

Counts scanRecord(Tier tier, const uint8_t *record, uint32_t length, uint16_t *ends, uint32_t room) {
#if defined(__x86_64__)
    if (tier == Tier::avx512) return scanAVX512(record, length, ends, room);
    if (tier == Tier::avx2) return scanAVX2(record, length, ends, room);
#endif
    return scanPlain(record, length, ends, room);
}

bool matchesLiterals(Tier tier, const Layout &layout, const uint8_t *record, const uint16_t *ends, bool loose) {
#if defined(__x86_64__)
    if (tier == Tier::avx512) return matchesAVX512(layout, record, ends, loose);
    if (tier == Tier::avx2) return matchesAVX2(layout, record, ends, loose);
#endif
    return matchesPlain(layout, record, ends, loose);
}

bool allMatch(
    Tier tier, const Layout &layout, const uint8_t *const *record, const uint16_t *places, uint32_t rowCount) {
#if defined(__x86_64__)
    if (tier != Tier::scalar) return allMatchAVX2(layout, record, places, rowCount);
#endif
    return allMatchPlain(layout, record, places, rowCount);
}

uint64_t readPlainValues(Tier tier, const ValuePlaces &places, uint32_t rowCount, double *values) {
#if defined(__x86_64__)
    if (tier == Tier::avx512) return readPlainAVX512(places, rowCount, values);
    if (tier == Tier::avx2) return readPlainAVX2(places, rowCount, values);
#endif
    return readOneByOne(tier, places, rowCount, values);
}

void transposePlaces(const uint16_t *const *from, uint32_t count, uint32_t rowCount, uint16_t *to) {
    for (uint32_t row = 0; row < rowCount; row += 8) {
        for (uint32_t k = 0; k < count; k += 8) {
#if defined(__x86_64__)
            // Eight by eight: pairs, then fours, then eights of rows come to lie side by side.
            __m128i rows[8], pairs[8], fours[8];
            for (int i = 0; i < 8; i++)
                rows[i] = _mm_loadu_si128(reinterpret_cast<const __m128i *>(from[row + static_cast<uint32_t>(i)] + k));
            for (int i = 0; i < 4; i++) {
                pairs[2 * i] = _mm_unpacklo_epi16(rows[2 * i], rows[2 * i + 1]);
                pairs[2 * i + 1] = _mm_unpackhi_epi16(rows[2 * i], rows[2 * i + 1]);
            }
            for (int i = 0; i < 2; i++) {
                for (int half = 0; half < 2; half++) {
                    fours[4 * i + 2 * half] = _mm_unpacklo_epi32(pairs[4 * i + half], pairs[4 * i + 2 + half]);
                    fours[4 * i + 2 * half + 1] = _mm_unpackhi_epi32(pairs[4 * i + half], pairs[4 * i + 2 + half]);
                }
            }
            for (uint32_t i = 0; i < 4; i++) {
                auto *place = reinterpret_cast<__m128i *>(to + 64 * (k + 2 * i) + row);
                _mm_storeu_si128(place, _mm_unpacklo_epi64(fours[i], fours[i + 4]));
                _mm_storeu_si128(place + 8, _mm_unpackhi_epi64(fours[i], fours[i + 4]));
            }
#else
            for (uint32_t i = 0; i < 8; i++)
                for (uint32_t j = 0; j < 8; j++) to[64 * (k + j) + row + i] = from[row + i][k + j];
#endif
        }
    }
}

} // namespace tidemark
