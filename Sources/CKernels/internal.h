#pragma once
#include <math.h>
#include <string.h>

#include "CKernels.h"

// No contraction: a product and a sum are fused only where `fma` says so, or tiers would differ.
#pragma STDC FP_CONTRACT OFF

// 1.5 * 2^52: after adding it, the low bits of a double are its value rounded to an integer.
#define TK_MAGIC 6755399441055744.0
// Rows whose integer sums certainly fit in 64 bits: 2^51 * 2,048 = 2^62.
#define TK_CHUNK 2048
// Below this many rows a vector's fixed costs exceed its gain.
#define TK_SHORT_RUN 24
#define TK_FLOAT_MAX 3.402823466e+38f

#define TK_INLINE static inline __attribute__((always_inline))

TK_INLINE uint64_t tk_bits(double x) {
    uint64_t bits;
    memcpy(&bits, &x, 8);
    return bits;
}

TK_INLINE double tk_double(uint64_t bits) {
    double x;
    memcpy(&x, &bits, 8);
    return x;
}

/// As the vector tiers convert: saturated, and without -0.
TK_INLINE float tk_item(double x) {
    float f = (float)x;
    f = f < TK_FLOAT_MAX ? f : TK_FLOAT_MAX;
    f = f > -TK_FLOAT_MAX ? f : -TK_FLOAT_MAX;
    return f + 0.0f;
}

TK_INLINE void tk_add128(uint64_t *low, int64_t *high, __int128 addend) {
    unsigned __int128 sum = ((unsigned __int128)(uint64_t)*high << 64) | *low;
    sum += (unsigned __int128)addend;
    *low = (uint64_t)sum;
    *high = (int64_t)(uint64_t)(sum >> 64);
}

/// A value beyond the near limit, summed in full width or counted as unsummed.
static inline void tk_add_far(tk_numeric_cell *cell, const tk_sum_plan *plan, double x) {
    double w = x - plan->centre;
    if (!(fabs(w) < plan->far_limit)) {
        cell->unsummed++;
        return;
    }
    tk_add128(&cell->sum_low, &cell->sum_high, (__int128)rint(w * plan->scale));
    tk_add128(&cell->square_low, &cell->square_high, (__int128)rint(w * plan->square_scale * w));
}

/// How many edges are <= x: 0 is under, edge_count is over.
TK_INLINE size_t tk_code(const double *edges, size_t edge_count, double x) {
    size_t at = 0, left = edge_count;
    while (left > 1) {
        size_t half = left / 2;
        at += __builtin_unpredictable(edges[at + half - 1] <= x) ? half : 0;
        left -= half;
    }
    return at + (left == 1 && edges[at] <= x);
}

/// Sums in row order, one dependent chain: the result never depends on how rows were batched.
TK_INLINE void tk_sum_in_order(
    const double *column, const uint16_t *rows, size_t count, tk_ordered_cell *cell) {
    double shift = cell->shift, sum = cell->sum, square = cell->square;
    uint64_t seen = cell->count;
    for (size_t i = 0; i < count; i++) {
        double x = column[rows[i]];
        if (!(fabs(x) < INFINITY)) continue;
        if (seen == 0) shift = x + 0.0;
        seen++;
        double w = x - shift;
        sum += w;
        square += w * w;
    }
    cell->shift = shift;
    cell->sum = sum;
    cell->square = square;
}

// What free places hold. The hash of 0 is 0, so 0 belongs to no bucket but the first; that of
// TK_LATER_KEY has its top bit set, so that one never belongs to the first.
#define TK_LATER_KEY 1

/// Puts values that are not held into the table.
void tk_place_items(
    const tk_item_table *table, const uint64_t *keys, const uint64_t *counts, size_t count);

/// The upper bits say where an item of a table belongs: those of a product are a hash of all lower ones.
TK_INLINE uint64_t tk_item_hash(uint64_t key) {
    uint64_t h = key * 0x9e3779b97f4a7c15u;
    return (h ^ h >> 29) * 0xbf58476d1ce4e5b9u;
}

#define TK_LANE_KERNELS(tier) \
    void tk_coupons_##tier(const int64_t *values, size_t count, uint32_t *coupons); \
    void tk_cubic_codes_##tier( \
        const double *values, size_t count, double multiplier, int32_t *codes); \
    void tk_log_linear_codes_##tier( \
        const double *values, size_t count, int bits, int32_t *codes); \
    void tk_moments64_##tier(const double *values, double shift, double *out); \
    void tk_comoments64_##tier(double *values, size_t width, double *means, double *sums); \
    void tk_split_signs_##tier( \
        const double *values, size_t count, double least, double *positive, double *negative, \
        size_t counts[3]); \
    void tk_few_edges_##tier( \
        const double *values, size_t count, const double *edges, size_t edge_count, \
        uint16_t *out); \
    size_t tk_add_items_##tier( \
        const tk_item_table *table, const int64_t *values, size_t count, size_t room, \
        size_t *added); \
    size_t tk_count_above_##tier(const uint64_t *counts, size_t count, uint64_t bound); \
    size_t tk_reduce_items_##tier( \
        const tk_item_table *table, uint64_t bound, uint64_t *keys, uint64_t *counts); \
    void tk_sort256_f64_##tier(double *values);
TK_LANE_KERNELS(scalar)
#if defined(__x86_64__)
TK_LANE_KERNELS(avx2)
TK_LANE_KERNELS(avx512)
void tk_bin_codes_avx512(
    const double *values, size_t count, const double *edges, size_t edge_count, uint16_t *out);
#endif

size_t tk_fold_exact_scalar(
    const double *column, const uint16_t *rows, size_t count, const tk_sum_plan *plan,
    tk_numeric_cell *cell, const double *edges, size_t edge_count, uint64_t *bins, float *run);
size_t tk_fold_ordered_scalar(
    const double *column, const uint16_t *rows, size_t count, tk_ordered_cell *cell,
    const double *edges, size_t edge_count, uint64_t *bins, float *run);
void tk_sort256_scalar(float *values);

#if defined(__x86_64__)
size_t tk_fold_exact_avx2(
    const double *column, const uint16_t *rows, size_t count, const tk_sum_plan *plan,
    tk_numeric_cell *cell, const double *edges, size_t edge_count, uint64_t *bins, float *run);
void tk_sort256_avx2(float *values);
void tk_sort256_keep_avx2(const float *values, int stride, int offset, float *kept);
size_t tk_fold_exact_avx512(
    const double *column, const uint16_t *rows, size_t count, const tk_sum_plan *plan,
    tk_numeric_cell *cell, const double *edges, size_t edge_count, uint64_t *bins, float *run);
size_t tk_fold_ordered_avx512(
    const double *column, const uint16_t *rows, size_t count, tk_ordered_cell *cell,
    const double *edges, size_t edge_count, uint64_t *bins, float *run);
void tk_sort256_avx512(float *values);
void tk_sort256_keep_avx512(const float *values, int stride, int offset, float *kept);
void tk_sort512_keep_avx512(const float *values, int stride, int offset, float *kept);
#endif
