#include "internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define TK_TARGET \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512cd,avx2,fma,bmi,bmi2,popcnt,lzcnt")))
#define TK_NET(name) name##_avx512
#define TK_MIN(a, b) ((tk_v16)_mm512_min_ps((__m512)(a), (__m512)(b)))
#define TK_MAX(a, b) ((tk_v16)_mm512_max_ps((__m512)(a), (__m512)(b)))
#define TK_ITEM float
#define TK_VECTOR tk_v16
#include "network.h"
#undef TK_ITEM
#undef TK_VECTOR
#undef TK_NET
#undef TK_MIN
#undef TK_MAX
#define TK_NET(name) name##_f64_avx512
#define TK_MIN(a, b) ((a) < (b) ? (a) : (b))
#define TK_MAX(a, b) ((a) > (b) ? (a) : (b))
#define TK_ITEM double
#define TK_VECTOR tk_d16
#include "network.h"
#undef TK_NET
#define TK_NET(name) name##_avx512
#define TK_LOOP _Pragma("clang loop vectorize(enable)")
#define TK_LANES TK_LOOP
#define TK_OWN_SPLIT
#include "lanes.h"

#define TK_EQUAL8(keys, key) \
    _mm512_cmpeq_epi64_mask(_mm512_loadu_si512(keys), _mm512_set1_epi64((long long)(key)))
#define TK_OWN_FIND
// Comparing leaves a byte a value, and what is known and what is left is told apart 16 at a time.
TK_TARGET static size_t tk_find_items_avx512(
    const uint64_t *keys, const int64_t *values, const uint32_t *home, size_t count,
    uint32_t *known, uint32_t *left) {
    uint8_t found[256];
    for (size_t i = 0; i < count; i++)
        found[i] = TK_EQUAL8(keys + 8 * (size_t)home[i], values[i]);
    size_t hits = 0, misses = 0;
    const __m512i last = _mm512_set1_epi32(31);
    __m512i place = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (size_t i = 0; i < count; i += 16) {
        __mmask16 there = count - i < 16 ? (__mmask16)((1u << (count - i)) - 1) : 0xffff;
        __m512i bits = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(found + i)));
        __mmask16 isKnown = _mm512_mask_test_epi32_mask(there, bits, bits);
        // Keys of a bucket differ: one bit at most.
        __m512i lane = _mm512_sub_epi32(last, _mm512_lzcnt_epi32(bits));
        __m512i at = _mm512_add_epi32(
            _mm512_slli_epi32(_mm512_loadu_si512(home + i), 3), lane);
        _mm512_storeu_si512(known + hits, _mm512_maskz_compress_epi32(isKnown, at));
        __mmask16 isLeft = (__mmask16)(there & ~isKnown);
        _mm512_storeu_si512(left + misses, _mm512_maskz_compress_epi32(isLeft, place));
        place = _mm512_add_epi32(place, _mm512_set1_epi32(16));
        hits += (unsigned)__builtin_popcount(isKnown);
        misses += (unsigned)__builtin_popcount(isLeft);
    }
    return hits;
}
#define TK_OWN_REDUCE
#include "items.h"

// A bucket closes up where it lies. Keys that lie behind a full bucket of their own are put in place
// anew: it is full no more.
TK_TARGET size_t tk_reduce_items_avx512(
    const tk_item_table *table, uint64_t bound, uint64_t *keys, uint64_t *counts) {
    size_t kept = 0, moved = 0, buckets = (size_t)1 << table->lg_buckets;
    const __m512i limit = _mm512_set1_epi64((long long)bound);
    const __m128i shift = _mm_cvtsi32_si128(64 - table->lg_buckets);
    const __m512i first = _mm512_set1_epi64((long long)0x9e3779b97f4a7c15u);
    const __m512i second = _mm512_set1_epi64((long long)0xbf58476d1ce4e5b9u);
    for (size_t bucket = 0; bucket < buckets; bucket++) {
        __m512i count = _mm512_loadu_si512(table->counts + 8 * bucket);
        __m512i key = _mm512_loadu_si512(table->keys + 8 * bucket);
        __mmask8 above = _mm512_cmpgt_epu64_mask(count, limit);
        // As `tk_item_hash`.
        __m512i hash = _mm512_mullo_epi64(key, first);
        hash = _mm512_mullo_epi64(_mm512_xor_si512(hash, _mm512_srli_epi64(hash, 29)), second);
        __mmask8 home = _mm512_cmpeq_epi64_mask(
            _mm512_srl_epi64(hash, shift), _mm512_set1_epi64((long long)bucket));
        __mmask8 stays = above & home, leaves = (__mmask8)(above & ~home);
        count = _mm512_sub_epi64(count, limit);
        __m512i none = _mm512_set1_epi64(bucket == 0 ? TK_LATER_KEY : 0);
        _mm512_storeu_si512(
            table->keys + 8 * bucket, _mm512_mask_compress_epi64(none, stays, key));
        _mm512_storeu_si512(
            table->counts + 8 * bucket, _mm512_maskz_compress_epi64(stays, count));
        table->fill[bucket] = (uint8_t)__builtin_popcount(stays);
        kept += (unsigned)__builtin_popcount(above);
        if (__builtin_expect(leaves != 0, 0)) {
            _mm512_storeu_si512(keys + moved, _mm512_maskz_compress_epi64(leaves, key));
            _mm512_storeu_si512(counts + moved, _mm512_maskz_compress_epi64(leaves, count));
            moved += (unsigned)__builtin_popcount(leaves);
        }
    }
    tk_place_items(table, keys, counts, moved);
    return kept;
}

TK_TARGET void tk_sort256_f64_avx512(double *values) {
    tk_sorted_f64_avx512(values, 1, 0, values);
}

TK_TARGET void tk_sort256_avx512(float *values) { tk_sorted_avx512(values, 1, 0, values); }

TK_TARGET void tk_sort256_keep_avx512(const float *values, int stride, int offset, float *kept) {
    switch (stride) {
    case 2: return tk_sorted_avx512(values, 2, offset, kept);
    case 4: return tk_sorted_avx512(values, 4, offset, kept);
    default: return tk_sorted_avx512(values, 8, offset, kept);
    }
}

// The second half lies mirrored beside the first; what is smaller and what is larger of each pair are
// the two halves of the order.
TK_TARGET static __attribute__((noinline)) void sort_half(const float *values, tk_v16 *r) {
    tk_load_avx512(values, r);
    tk_network_avx512(r);
}

TK_TARGET static __attribute__((noinline)) void write_half(
    tk_v16 *r, int stride, int offset, float *kept) {
    tk_bitonic_avx512(r);
    if (stride == 1) tk_write_avx512(r, 1, 0, kept);
    else tk_write_avx512(r, 2, offset, kept);
}

TK_TARGET void tk_sort512_keep_avx512(const float *values, int stride, int offset, float *kept) {
    tk_v16 a[16], b[16];
    sort_half(values, a);
    sort_half(values + 256, b);
    for (int i = 0; i < 8; i++) {
        tk_v16 first = TK_LANES_M16(b[15 - i]), last = TK_LANES_M16(b[i]);
        b[i] = (tk_v16)_mm512_max_ps((__m512)a[i], (__m512)first);
        a[i] = (tk_v16)_mm512_min_ps((__m512)a[i], (__m512)first);
        b[15 - i] = (tk_v16)_mm512_max_ps((__m512)a[15 - i], (__m512)last);
        a[15 - i] = (tk_v16)_mm512_min_ps((__m512)a[15 - i], (__m512)last);
    }
    write_half(a, stride, offset, kept);
    write_half(b, stride, offset, kept + 256 / stride);
}

// A search for the number of edges <= x, in sixteen lanes at once: five steps over 31 pivots that
// stay in registers, compared in f32. Rounding is monotonic, so only where a value rounds to the
// very pivot may the f64 comparison differ; those lanes are decided in f64 afterwards. Values and
// pivots are saturated to f32 alike, so none reaches the infinities behind the last pivot. With more
// than 31 edges the pivots are every 2nd, 4th, … edge and each lane finishes on its own.
typedef struct {
    __m512 upper_levels, last_level;
    __m512 low, high;
    const double *edges;
    size_t edge_count, step;
} search;

TK_TARGET TK_INLINE search prepare(const double *edges, size_t edge_count) {
    search s;
    float pivots[32] __attribute__((aligned(64)));
    s.edges = edges;
    s.edge_count = edge_count;
    s.step = 1;
    while (32 * s.step <= edge_count) s.step *= 2;
    size_t at = s.step - 1;
    for (int i = 0; i < 32; i++, at += s.step)
        pivots[i] = at < edge_count ? tk_item(edges[at]) : INFINITY;
    s.low = _mm512_load_ps(pivots);
    s.high = _mm512_load_ps(pivots + 16);
    // The implicit tree: the root at 1, the children of i at 2i and 2i + 1.
    s.upper_levels = _mm512_permutex2var_ps(
        s.low, _mm512_setr_epi32(0, 15, 7, 23, 3, 11, 19, 27, 1, 5, 9, 13, 17, 21, 25, 29), s.high);
    s.last_level = _mm512_permutex2var_ps(
        s.low, _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30),
        s.high);
    return s;
}

/// Codes of sixteen lanes; `live` lanes hold numbers, `exact` are their f64 values.
TK_TARGET TK_INLINE __m512i codes(
    const search *s, __m512 f, __mmask16 live, __m512d first, __m512d second) {
    const __m512i one = _mm512_set1_epi32(1);
    __m512i at = one;
    TK_UNROLL for (int level = 0; level < 5; level++) {
        __m512 pivot = _mm512_permutexvar_ps(at, level < 4 ? s->upper_levels : s->last_level);
        __mmask16 above = _mm512_cmp_ps_mask(f, pivot, _CMP_GE_OQ);
        at = _mm512_add_epi32(at, at);
        at = _mm512_mask_add_epi32(at, above, at, one);
    }
    at = _mm512_sub_epi32(at, _mm512_set1_epi32(32));
    // The greatest pivot <= f, of which f may be the rounded equal.
    __m512 reached =
        _mm512_permutex2var_ps(s->low, _mm512_sub_epi32(at, one), s->high);
    __mmask16 tied = _mm512_mask_cmp_ps_mask(
        _mm512_mask_test_epi32_mask(live, at, at), f, reached, _CMP_EQ_OQ);
    if (__builtin_expect(tied != 0 && s->step == 1, 0)) {
        // The code is at most some edges too high: those that round to the same f32.
        for (;;) {
            __m512i before = _mm512_sub_epi32(at, one);
            __mmask16 some = _mm512_mask_test_epi32_mask(tied, at, at);
            __m512d e = _mm512_mask_i32gather_pd(
                first, (__mmask8)some, _mm512_castsi512_si256(before), s->edges, 8);
            __m512d g = _mm512_mask_i32gather_pd(
                second, (__mmask8)(some >> 8), _mm512_extracti64x4_epi64(before, 1), s->edges, 8);
            __mmask16 below = (__mmask16)(
                _mm512_cmp_pd_mask(first, e, _CMP_LT_OQ) |
                _mm512_cmp_pd_mask(second, g, _CMP_LT_OQ) << 8);
            if (!below) break;
            at = _mm512_mask_sub_epi32(at, below, at, one);
            tied &= below;
        }
    }
    if (__builtin_expect(s->step > 1, 0)) {
        uint32_t code[16];
        double x[16];
        _mm512_storeu_si512(code, at);
        _mm512_storeu_pd(x, first);
        _mm512_storeu_pd(x + 8, second);
        for (unsigned m = live; m; m &= m - 1) {
            unsigned i = (unsigned)__builtin_ctz(m);
            size_t from = code[i] * s->step;
            if (tied >> i & 1) {
                code[i] = (uint32_t)tk_code(s->edges, s->edge_count, x[i]);
                continue;
            }
            size_t left = s->edge_count - from;
            if (left > s->step - 1) left = s->step - 1;
            code[i] = (uint32_t)(from + tk_code(s->edges + from, left, x[i]));
        }
        at = _mm512_loadu_si512(code);
    }
    return at;
}

/// Eight values; one load each: a gather takes twice as long on Zen.
TK_TARGET TK_INLINE __m512d load(const double *column, const uint16_t *rows) {
    __m256d low = _mm256_setr_pd(column[rows[0]], column[rows[1]], column[rows[2]], column[rows[3]]);
    __m256d high =
        _mm256_setr_pd(column[rows[4]], column[rows[5]], column[rows[6]], column[rows[7]]);
    return _mm512_insertf64x4(_mm512_castpd256_pd512(low), high, 1);
}

TK_TARGET TK_INLINE __m512d load_some(const double *column, const uint16_t *rows, size_t left) {
    __mmask8 real = left >= 8 ? 0xff : (__mmask8)((1u << left) - 1);
    __m256i at = _mm256_cvtepu16_epi32(_mm_maskz_loadu_epi16(real, rows));
    return _mm512_mask_i32gather_pd(_mm512_set1_pd(NAN), real, at, column, 8);
}

/// Counts 64 codes of one byte: by comparing with each code, or one by one where few are live.
TK_TARGET TK_INLINE void count_codes(const uint8_t *code, size_t rows, size_t edge_count,
                                     uint64_t *bins) {
    if (rows < 24) {
        for (size_t i = 0; i < rows; i++)
            if (code[i] != 255) bins[code[i]]++;
        return;
    }
    __m512i all = _mm512_load_si512(code);
    for (size_t b = 0; b <= edge_count; b++)
        bins[b] += (uint64_t)__builtin_popcountll(
            _mm512_cmpeq_epi8_mask(all, _mm512_set1_epi8((char)b)));
}

typedef struct {
    __m512d centre, scale, square_scale, near_limit, magic, infinity;
    __m512d least, most;
    __m512i sum, square;
    uint64_t near;
} folding;

/// Adds eight values; returns which are finite.
TK_TARGET TK_INLINE __mmask8 add(
    folding *f, const tk_sum_plan *plan, tk_numeric_cell *cell, __m512d x, const int sums) {
    __mmask8 live = _mm512_cmp_pd_mask(_mm512_abs_pd(x), f->infinity, _CMP_LT_OQ);
    if (sums) {
        __m512d w = _mm512_sub_pd(x, f->centre);
        __mmask8 close =
            _mm512_mask_cmp_pd_mask(live, _mm512_abs_pd(w), f->near_limit, _CMP_LT_OQ);
        f->sum = _mm512_mask_add_epi64(
            f->sum, close, f->sum, _mm512_castpd_si512(_mm512_fmadd_pd(w, f->scale, f->magic)));
        f->square = _mm512_mask_add_epi64(
            f->square, close, f->square,
            _mm512_castpd_si512(_mm512_fmadd_pd(_mm512_mul_pd(w, f->square_scale), w, f->magic)));
        f->near += (unsigned)__builtin_popcount(close);
        if (__builtin_expect(close != live, 0)) {
            double lanes[8];
            _mm512_storeu_pd(lanes, x);
            for (unsigned far = live & ~close; far; far &= far - 1)
                tk_add_far(cell, plan, lanes[__builtin_ctz(far)]);
        }
    }
    f->least = _mm512_mask_min_pd(f->least, live, f->least, x);
    f->most = _mm512_mask_max_pd(f->most, live, f->most, x);
    return live;
}

TK_TARGET TK_INLINE size_t fold(
    const double *column, const uint16_t *rows, size_t count, const tk_sum_plan *plan,
    tk_numeric_cell *cell, double *min, double *max, const double *edges, size_t edge_count,
    uint64_t *bins, float *run, const int sums, const int binned, const int narrow) {
    folding f;
    f.infinity = _mm512_set1_pd(INFINITY);
    f.magic = _mm512_set1_pd(TK_MAGIC);
    if (sums) {
        f.centre = _mm512_set1_pd(plan->centre);
        f.scale = _mm512_set1_pd(plan->scale);
        f.square_scale = _mm512_set1_pd(plan->square_scale);
        f.near_limit = _mm512_set1_pd(plan->near_limit);
    }
    f.least = _mm512_set1_pd(*min);
    f.most = _mm512_set1_pd(*max);
    const __m512 float_max = _mm512_set1_ps(TK_FLOAT_MAX);
    const __m512 float_min = _mm512_set1_ps(-TK_FLOAT_MAX);
    search s;
    if (binned) s = prepare(edges, edge_count);
    size_t kept = 0;
    for (size_t start = 0; start < count; start += TK_CHUNK) {
        size_t end = start + TK_CHUNK < count ? start + TK_CHUNK : count;
        f.sum = _mm512_setzero_si512();
        f.square = f.sum;
        f.near = 0;
        for (size_t block = start; block < end; block += 64) {
            uint8_t code[64] __attribute__((aligned(64)));
            size_t stop = block + 64 < end ? block + 64 : end;
            if (binned && narrow) _mm512_store_si512(code, _mm512_set1_epi8(-1));
            for (size_t i = block; i < stop; i += 16) {
                __m512d first, second;
                if (__builtin_expect(stop - i >= 16, 1)) {
                    first = load(column, rows + i);
                    second = load(column, rows + i + 8);
                } else {
                    first = load_some(column, rows + i, stop - i);
                    second = stop - i > 8 ? load_some(column, rows + i + 8, stop - i - 8)
                                          : _mm512_set1_pd(NAN);
                }
                unsigned low = add(&f, plan, cell, first, sums);
                unsigned high = add(&f, plan, cell, second, sums);
                __mmask16 live = (__mmask16)(low | high << 8);
                __m512 item = _mm512_insertf32x8(
                    _mm512_castps256_ps512(_mm512_cvtpd_ps(first)), _mm512_cvtpd_ps(second), 1);
                item = _mm512_max_ps(_mm512_min_ps(item, float_max), float_min);
                if (binned) {
                    __m512i c = codes(&s, item, live, first, second);
                    if (narrow) {
                        c = _mm512_mask_mov_epi32(_mm512_set1_epi32(255), live, c);
                        _mm_store_si128(
                            (__m128i *)(code + (i - block)), _mm512_cvtepi32_epi8(c));
                    } else {
                        uint32_t wide[16];
                        _mm512_storeu_si512(wide, c);
                        for (unsigned m = live; m; m &= m - 1) bins[wide[__builtin_ctz(m)]]++;
                    }
                }
                if (run) {
                    item = _mm512_add_ps(item, _mm512_setzero_ps());
                    _mm512_storeu_ps(run + kept, _mm512_maskz_compress_ps(live, item));
                }
                kept += (unsigned)__builtin_popcount(live);
            }
            if (binned && narrow) count_codes(code, stop - block, edge_count, bins);
        }
        if (sums) {
            uint64_t zero = tk_bits(TK_MAGIC) * f.near;
            tk_add128(
                &cell->sum_low, &cell->sum_high,
                (int64_t)((uint64_t)_mm512_reduce_add_epi64(f.sum) - zero));
            tk_add128(
                &cell->square_low, &cell->square_high,
                (int64_t)((uint64_t)_mm512_reduce_add_epi64(f.square) - zero));
        }
    }
    *min = _mm512_reduce_min_pd(f.least) + 0.0;
    *max = _mm512_reduce_max_pd(f.most) + 0.0;
    return kept;
}

TK_TARGET void tk_split_signs_avx512(
    const double *values, size_t count, double least, double *positive, double *negative,
    size_t counts[3]) {
    const __m512d floor = _mm512_set1_pd(least), infinity = _mm512_set1_pd(INFINITY);
    size_t p = 0, n = 0, small = 0;
    for (size_t i = 0; i < count; i += 8) {
        __mmask8 real = count - i >= 8 ? 0xff : (__mmask8)((1u << (count - i)) - 1);
        __m512d x = _mm512_mask_loadu_pd(_mm512_set1_pd(NAN), real, values + i);
        __m512d size = _mm512_abs_pd(x);
        __mmask8 kept = _mm512_mask_cmp_pd_mask(
            _mm512_cmp_pd_mask(size, floor, _CMP_GE_OQ), size, infinity, _CMP_LT_OQ);
        __mmask8 below = kept & _mm512_movepi64_mask(_mm512_castpd_si512(x));
        __mmask8 above = kept & (__mmask8)~below;
        _mm512_storeu_pd(positive + p, _mm512_maskz_compress_pd(above, size));
        _mm512_storeu_pd(negative + n, _mm512_maskz_compress_pd(below, size));
        p += (unsigned)__builtin_popcount(above);
        n += (unsigned)__builtin_popcount(below);
        small += (unsigned)__builtin_popcount(_mm512_cmp_pd_mask(size, floor, _CMP_LT_OQ));
    }
    counts[0] = p;
    counts[1] = n;
    counts[2] = small;
}

TK_TARGET void tk_bin_codes_avx512(
    const double *values, size_t count, const double *edges, size_t edge_count, uint16_t *out) {
    const __m512 float_max = _mm512_set1_ps(TK_FLOAT_MAX);
    const __m512 float_min = _mm512_set1_ps(-TK_FLOAT_MAX);
    const __m512d infinity = _mm512_set1_pd(INFINITY);
    search s = prepare(edges, edge_count);
    for (size_t i = 0; i < count; i += 16) {
        size_t left = count - i < 16 ? count - i : 16;
        __mmask16 real = (__mmask16)((1u << left) - 1);
        __m512d first = _mm512_mask_loadu_pd(_mm512_set1_pd(NAN), (__mmask8)real, values + i);
        __m512d second =
            _mm512_mask_loadu_pd(_mm512_set1_pd(NAN), (__mmask8)(real >> 8), values + i + 8);
        __mmask16 live = (__mmask16)(
            _mm512_cmp_pd_mask(_mm512_abs_pd(first), infinity, _CMP_LT_OQ) |
            _mm512_cmp_pd_mask(_mm512_abs_pd(second), infinity, _CMP_LT_OQ) << 8);
        __m512 item = _mm512_insertf32x8(
            _mm512_castps256_ps512(_mm512_cvtpd_ps(first)), _mm512_cvtpd_ps(second), 1);
        item = _mm512_max_ps(_mm512_min_ps(item, float_max), float_min);
        __m512i c = codes(&s, item, live, first, second);
        c = _mm512_mask_mov_epi32(_mm512_set1_epi32(0xffff), live, c);
        _mm256_mask_storeu_epi16(out + i, real, _mm512_cvtepi32_epi16(c));
    }
}

// Counting by comparison pays up to about this many codes.
#define NARROW_EDGES 63

TK_TARGET size_t tk_fold_exact_avx512(
    const double *column, const uint16_t *rows, size_t count, const tk_sum_plan *plan,
    tk_numeric_cell *cell, const double *edges, size_t edge_count, uint64_t *bins, float *run) {
    size_t kept;
    double min = cell->min, max = cell->max;
    if (!bins)
        kept = fold(column, rows, count, plan, cell, &min, &max, edges, 0, bins, run, 1, 0, 0);
    else if (edge_count <= NARROW_EDGES)
        kept = fold(
            column, rows, count, plan, cell, &min, &max, edges, edge_count, bins, run, 1, 1, 1);
    else
        kept = fold(
            column, rows, count, plan, cell, &min, &max, edges, edge_count, bins, run, 1, 1, 0);
    cell->min = min;
    cell->max = max;
    cell->count += kept;
    return kept;
}

TK_TARGET size_t tk_fold_ordered_avx512(
    const double *column, const uint16_t *rows, size_t count, tk_ordered_cell *cell,
    const double *edges, size_t edge_count, uint64_t *bins, float *run) {
    size_t kept;
    double min = cell->min, max = cell->max;
    tk_sum_in_order(column, rows, count, cell);
    if (!bins)
        kept = fold(column, rows, count, 0, 0, &min, &max, edges, 0, bins, run, 0, 0, 0);
    else if (edge_count <= NARROW_EDGES)
        kept = fold(
            column, rows, count, 0, 0, &min, &max, edges, edge_count, bins, run, 0, 1, 1);
    else
        kept = fold(
            column, rows, count, 0, 0, &min, &max, edges, edge_count, bins, run, 0, 1, 0);
    cell->min = min;
    cell->max = max;
    cell->count += kept;
    return kept;
}
#endif
