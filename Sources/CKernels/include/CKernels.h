#pragma once
#include <stddef.h>
#include <stdint.h>

// Hot loops that need instructions without a Swift spelling. Each exists three times (scalar,
// AVX2, AVX-512), equal bit for bit; `tk_tier` says which one runs. Meanings and units stand with
// the Swift wrappers in TidemarkKernels.

enum { TK_SCALAR = 0, TK_AVX2 = 1, TK_AVX512 = 2 };

/// The tier that the calling thread uses: the best of the processor, lowered by
/// TIDEMARK_SIMD=scalar|avx2|avx512.
int tk_tier(void);
/// Whether the processor has what every target is compiled for.
int tk_has_baseline(void);
/// Makes the calling thread use `tier`, or the best below it that the processor has; returns the
/// one in use.
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
/// Sorts a copy of 512 values at most and writes the count / stride of them at offset, offset + stride,
/// … (stride 1 or 2). No NaN, no -0.
void tk_sort512_keep(const float *values, size_t count, int stride, int offset, float *kept);
/// Largest of each pair of bytes, into `into`.
void tk_max_bytes(uint8_t *into, const uint8_t *other, size_t count);
/// Merges two ascending lists. Each has room for a guard before its first and behind its last key,
/// which are overwritten; keys are above 0 and below the largest. `into` overlaps neither.
void tk_merge_keys(
    uint64_t *a, size_t a_count, uint64_t *b, size_t b_count, uint64_t *into);

/// Items of which each weighs 2^level; level < 64.
typedef struct {
    const float *items;
    size_t count, level;
} tk_level;

/// Writes the items of all levels in one order, of equal ones the lightest first, and for each what it
/// and all before it weigh; sorts the list of levels by their counts. No NaN, no -0.
void tk_order_levels(
    tk_level *levels, size_t level_count, float *values, uint64_t *cumulative);

/// The most items of levels that `tk_reach_weights` takes.
enum { TK_REACH_ITEMS = 2048 };
/// For each weight, 1 to that of all items, the least item that weighs so much together with all before
/// it: as tk_order_levels orders them. At most 512 items a level. No NaN, no -0.
void tk_reach_weights(
    const tk_level *levels, size_t level_count, const uint64_t *weights, size_t weight_count,
    float *reached);

/// Integers with counts in 2^lg_buckets buckets of eight; `fill` says how many of a bucket are taken,
/// and places behind them have a count of 0.
typedef struct {
    uint64_t *keys, *counts;
    uint8_t *fill;
    int lg_buckets;
} tk_item_table;

/// Makes all places free.
void tk_clear_items(const tk_item_table *table);
/// Adds values, each once, until `room` of them were new; writes how many were, returns how many
/// values were taken. The table has more than `room` free places.
size_t tk_add_items(
    const tk_item_table *table, const int64_t *values, size_t count, size_t room, size_t *added);
/// Adds to the count of a value; returns whether it is new. The table has a free place.
int tk_add_item(const tk_item_table *table, int64_t value, uint64_t weight);
/// The count of a value, 0 where it is not held.
uint64_t tk_item_count(const tk_item_table *table, int64_t value);
/// How many counts exceed `bound`.
size_t tk_count_above(const uint64_t *counts, size_t count, uint64_t bound);
/// Keeps what exceeds `bound`, each less the bound, and returns how many they are. `keys` and `counts` are
/// room for eight more than that.
size_t tk_reduce_items(
    const tk_item_table *table, uint64_t bound, uint64_t *keys, uint64_t *counts);

/// As `tk_sort256` for f64.
void tk_sort256_f64(double *values);
/// HyperLogLog coupons of integers: DataSketches' hash of their eight bytes.
void tk_coupons(const int64_t *values, size_t count, uint32_t *coupons);
/// registers[coupon & mask] = max(itself, coupon >> 26); a zero coupon changes nothing.
void tk_raise_registers(
    uint8_t *registers, uint32_t mask, const uint32_t *coupons, size_t count);
/// DDSketch's keys, cubic interpolation, of |x|; only for normal numbers.
void tk_cubic_codes(const double *values, size_t count, double multiplier, int32_t *codes);
/// Exponent and highest bits of the significand of |x|, 0 at 1.0.
void tk_log_linear_codes(const double *values, size_t count, int bits, int32_t *codes);
/// How many edges are <= x, 0xffff where x is not finite. At most 65,534 edges.
void tk_bin_codes(
    const double *values, size_t count, const double *edges, size_t edge_count, uint16_t *out);
/// Mean, and central sums of order 2, 3, 4, of 64 values less `shift`.
void tk_moments64(const double *values, double shift, double *out);
/// Adds the lower triangle of central products of 64 rows to `sums`, writes the means; `values`,
/// column after column, are centred in place.
void tk_comoments64(double *values, size_t width, double *means, double *sums);
/// Magnitudes of values >= least to `positive`, of those <= -least to `negative`, in order; both have
/// room for 8 more than `count`. `counts`: how many went where, then how many were smaller.
void tk_split_signs(
    const double *values, size_t count, double least, double *positive, double *negative,
    size_t counts[3]);
/// How many of 2^lgK registers, lgK 4 to 21, hold each value below 64.
void tk_count_registers(const uint8_t *registers, size_t count, uint32_t counts[64]);
/// 257 raw HyperLogLog estimates over 2^lgK, lgK 4 to 21: where the corrected one is whole steps.
const float *tk_hll_knots(int lg_k);
/// Digits of an exact sum of doubles; one more word counts what was added since it was settled.
enum { TK_SUM_DIGITS = 67 };
/// The standard deviation (n − 1) of `count` >= 2 values from their exact sum and that of their squares.
double tk_sum_sd(const int64_t *sum, const int64_t *squares, uint64_t count);
/// Adds finite values to an exact sum of TK_SUM_DIGITS + 1 words, all 0 at first.
void tk_sum_add(int64_t *sum, const double *values, size_t count);
/// Adds their squares, exact but for what lies below 2^-1074; returns how many squares are no double, and
/// were left out.
size_t tk_sum_add_squares(int64_t *sum, const double *values, size_t count);
/// Adds another sum.
void tk_sum_merge(int64_t *sum, const int64_t *other);
/// Brings a sum into the form that all equal sums have.
void tk_sum_settle(int64_t *sum);
/// The double next to a sum, and in `rest` the one next to what is then left.
double tk_sum_value(const int64_t *sum, double *rest);
/// Begins to fetch the cache lines of some bytes, to write them.
void tk_prefetch(const void *start, size_t byte_count);
/// The same, to read them.
void tk_prefetch_reading(const void *start, size_t byte_count);
