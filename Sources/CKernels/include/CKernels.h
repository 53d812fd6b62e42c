#pragma once
#include <stddef.h>
#include <stdint.h>

// Hot loops that need instructions without a Swift spelling. Each exists three times (scalar,
// AVX2, AVX-512), equal bit for bit; `tk_tier` says which one runs. Meanings and units stand with
// the Swift wrappers in TidemarkKernels.

enum { TK_SCALAR = 0, TK_AVX2 = 1, TK_AVX512 = 2 };

/// The tier in use: the best of the processor, lowered by TIDEMARK_SIMD=scalar|avx2|avx512.
int tk_tier(void);
/// Whether the processor has what every target is compiled for.
int tk_has_baseline(void);
/// Uses `tier`, or the best below it that the processor has; returns the one in use.
int tk_force_tier(int tier);

typedef struct {
    uint64_t count, unsummed;
    uint64_t sum_low;
    int64_t sum_high;
    uint64_t square_low;
    int64_t square_high;
    double min, max;
} tk_numeric_cell;

typedef struct {
    double centre, scale, square_scale, near_limit, far_limit;
} tk_sum_plan;

typedef struct {
    uint64_t count;
    double shift, sum, square, min, max;
} tk_ordered_cell;

size_t tk_fold_exact(
    const double *column, const uint16_t *rows, size_t count, const tk_sum_plan *plan,
    tk_numeric_cell *cell, const double *edges, size_t edge_count, uint64_t *bins, float *run);

size_t tk_fold_ordered(
    const double *column, const uint16_t *rows, size_t count, tk_ordered_cell *cell,
    const double *edges, size_t edge_count, uint64_t *bins, float *run);

/// Sorts 256 values in place. No NaN, no -0.
void tk_sort256(float *values);
/// Sorts a copy of 256 values and writes those at offset, offset + stride, … (stride 2, 4 or 8).
void tk_sort256_keep(const float *values, int stride, int offset, float *kept);
/// Largest of each pair of bytes, into `into`.
void tk_max_bytes(uint8_t *into, const uint8_t *other, size_t count);
/// Merges two ascending lists. Each has room for a guard before its first and behind its last key,
/// which are overwritten; keys are above 0 and below the largest. `into` overlaps neither.
void tk_merge_keys(
    uint64_t *a, size_t a_count, uint64_t *b, size_t b_count, uint64_t *into);
