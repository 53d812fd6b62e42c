#include "internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define TK_TARGET __attribute__((target("avx2,fma,bmi,bmi2,popcnt,lzcnt")))
#define TK_MIN(a, b) ((a) < (b) ? (a) : (b))
#define TK_MAX(a, b) ((a) > (b) ? (a) : (b))
#define TK_NET(name) name##_f64_avx2
#define TK_ITEM double
#define TK_VECTOR tk_d16
#include "network.h"
#undef TK_NET
#define TK_NET(name) name##_avx2
#define TK_LOOP _Pragma("clang loop vectorize(enable)")
#define TK_LANES TK_LOOP
#include "lanes.h"
#include "rows8.h"

TK_TARGET TK_INLINE unsigned tk_equal8(const uint64_t *keys, uint64_t key) {
    __m256i wanted = _mm256_set1_epi64x((long long)key);
    __m256i a = _mm256_cmpeq_epi64(_mm256_loadu_si256((const __m256i *)keys), wanted);
    __m256i b = _mm256_cmpeq_epi64(_mm256_loadu_si256((const __m256i *)(keys + 4)), wanted);
    return (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(a)) |
           (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(b)) << 4;
}
#define TK_EQUAL8(keys, key) tk_equal8(keys, key)
#include "items.h"

TK_TARGET void tk_sort256_avx2(float *values) { tk_rows_sorted(values, 1, 0, values); }

TK_TARGET void tk_sort256_keep_avx2(const float *values, int stride, int offset, float *kept) {
    if (stride == 2) return tk_rows_sorted(values, 2, offset, kept);
    if (stride == 4) return tk_rows_sorted(values, 4, offset, kept);
    tk_rows_sorted(values, 8, offset, kept);
}

TK_TARGET void tk_sort256_f64_avx2(double *values) { tk_sorted_f64_avx2(values, 1, 0, values); }

TK_TARGET static inline int64_t total(__m256i v) {
    __m128i half = _mm_add_epi64(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    return (int64_t)((uint64_t)_mm_cvtsi128_si64(half) + (uint64_t)_mm_extract_epi64(half, 1));
}

// Comparing with every edge pays up to about this many: a search mispredicts, this never does.
#define COUNTED_EDGES 64

/// The number of edges <= x, in four lanes.
TK_TARGET TK_INLINE __m256i counted(const double *edges, size_t edge_count, __m256d x) {
    __m256i codes = _mm256_setzero_si256();
    for (size_t i = 0; i < edge_count; i++)
        codes = _mm256_sub_epi64(
            codes, _mm256_castpd_si256(_mm256_cmp_pd(x, _mm256_broadcast_sd(edges + i), _CMP_GE_OQ)));
    return codes;
}

TK_TARGET size_t tk_fold_exact_avx2(
    const double *column, const uint16_t *rows, size_t count, const tk_sum_plan *plan,
    tk_numeric_cell *cell, const double *edges, size_t edge_count, uint64_t *bins, float *run) {
    const __m256d centre = _mm256_set1_pd(plan->centre), scale = _mm256_set1_pd(plan->scale);
    const __m256d square_scale = _mm256_set1_pd(plan->square_scale);
    const __m256d near_limit = _mm256_set1_pd(plan->near_limit);
    const __m256d magic = _mm256_set1_pd(TK_MAGIC), infinity = _mm256_set1_pd(INFINITY);
    const __m256d nothing = _mm256_set1_pd(NAN), sign = _mm256_set1_pd(-0.0);
    const __m128 float_max = _mm_set1_ps(TK_FLOAT_MAX), float_min = _mm_set1_ps(-TK_FLOAT_MAX);
    __m256d least = _mm256_set1_pd(cell->min), most = _mm256_set1_pd(cell->max);
    size_t kept = 0;
    for (size_t start = 0; start < count; start += TK_CHUNK) {
        size_t end = start + TK_CHUNK < count ? start + TK_CHUNK : count;
        __m256i sum = _mm256_setzero_si256(), square = sum;
        uint64_t near = 0;
        for (size_t i = start; i < end; i += 4) {
            double lanes[4] __attribute__((aligned(32)));
            __m256d x = nothing;
            if (end - i >= 4) {
                x = _mm256_setr_pd(
                    column[rows[i]], column[rows[i + 1]], column[rows[i + 2]], column[rows[i + 3]]);
            } else {
                _mm256_store_pd(lanes, nothing);
                for (size_t j = i; j < end; j++) lanes[j - i] = column[rows[j]];
                x = _mm256_load_pd(lanes);
            }
            __m256d finite = _mm256_cmp_pd(_mm256_andnot_pd(sign, x), infinity, _CMP_LT_OQ);
            unsigned live = (unsigned)_mm256_movemask_pd(finite);
            __m256d w = _mm256_sub_pd(x, centre);
            __m256d close = _mm256_cmp_pd(_mm256_andnot_pd(sign, w), near_limit, _CMP_LT_OQ);
            unsigned summed = (unsigned)_mm256_movemask_pd(close) & live;
            close = _mm256_and_pd(close, finite);
            sum = _mm256_add_epi64(
                sum, _mm256_castpd_si256(_mm256_and_pd(close, _mm256_fmadd_pd(w, scale, magic))));
            square = _mm256_add_epi64(
                square, _mm256_castpd_si256(_mm256_and_pd(
                            close, _mm256_fmadd_pd(_mm256_mul_pd(w, square_scale), w, magic))));
            near += (unsigned)__builtin_popcount(summed);
            least = _mm256_min_pd(_mm256_blendv_pd(least, x, finite), least);
            most = _mm256_max_pd(_mm256_blendv_pd(most, x, finite), most);
            _mm256_store_pd(lanes, x);
            for (unsigned left = live & ~summed; left; left &= left - 1)
                tk_add_far(cell, plan, lanes[__builtin_ctz(left)]);
            if (run) {
                float items[4] __attribute__((aligned(16)));
                __m128 item = _mm256_cvtpd_ps(x);
                item = _mm_max_ps(_mm_min_ps(item, float_max), float_min);
                _mm_store_ps(items, _mm_add_ps(item, _mm_setzero_ps()));
                // Each goes to the next free place; those that are no values are written over.
                size_t next = kept;
                for (unsigned j = 0; j < 4; j++) {
                    run[next] = items[j];
                    next += live >> j & 1;
                }
            }
            kept += (unsigned)__builtin_popcount(live);
            if (!bins) continue;
            if (edge_count <= COUNTED_EDGES) {
                uint64_t codes[4] __attribute__((aligned(32)));
                _mm256_store_si256((__m256i *)codes, counted(edges, edge_count, x));
                for (unsigned left = live; left; left &= left - 1) bins[codes[__builtin_ctz(left)]]++;
            } else {
                for (unsigned left = live; left; left &= left - 1)
                    bins[tk_code(edges, edge_count, lanes[__builtin_ctz(left)])]++;
            }
        }
        uint64_t zero = tk_bits(TK_MAGIC) * near;
        tk_add128(
            &cell->sum_low, &cell->sum_high, (int64_t)((uint64_t)total(sum) - zero));
        tk_add128(
            &cell->square_low, &cell->square_high, (int64_t)((uint64_t)total(square) - zero));
    }
    double min[4], max[4];
    _mm256_storeu_pd(min, least);
    _mm256_storeu_pd(max, most);
    for (int i = 0; i < 4; i++) {
        cell->min = min[i] < cell->min ? min[i] : cell->min;
        cell->max = max[i] > cell->max ? max[i] : cell->max;
    }
    cell->count += kept;
    cell->min += 0.0;
    cell->max += 0.0;
    return kept;
}
#endif
