#include "internal.h"

#define TK_TARGET
#define TK_NET(name) name##_scalar
#define TK_LOOP _Pragma("clang loop vectorize(disable) interleave(disable)")
#define TK_LANES
#include "lanes.h"

TK_INLINE unsigned tk_equal8(const uint64_t *keys, uint64_t key) {
    unsigned found = 0;
    for (int i = 0; i < 8; i++) found |= (unsigned)(keys[i] == key) << i;
    return found;
}
#define TK_EQUAL8(keys, key) tk_equal8(keys, key)
#include "items.h"

// The twins that the vector tiers are compared with, and what runs on short runs and on arm64.

size_t tk_fold_exact_scalar(
    const double *column, const uint16_t *rows, size_t count, const tk_sum_plan *plan,
    tk_numeric_cell *cell, const double *edges, size_t edge_count, uint64_t *bins, float *run) {
    const double centre = plan->centre, scale = plan->scale, square_scale = plan->square_scale;
    const double near_limit = plan->near_limit;
    double min = cell->min, max = cell->max;
    size_t kept = 0;
    for (size_t start = 0; start < count; start += TK_CHUNK) {
        size_t end = start + TK_CHUNK < count ? start + TK_CHUNK : count;
        uint64_t sum = 0, square = 0, near = 0;
        for (size_t i = start; i < end; i++) {
            double x = column[rows[i]];
            if (!(fabs(x) < INFINITY)) continue;
            double w = x - centre;
            if (__builtin_expect(fabs(w) < near_limit, 1)) {
                sum += tk_bits(fma(w, scale, TK_MAGIC));
                square += tk_bits(fma(w * square_scale, w, TK_MAGIC));
                near++;
            } else {
                tk_add_far(cell, plan, x);
            }
            min = x < min ? x : min;
            max = x > max ? x : max;
            if (run) run[kept] = tk_item(x);
            kept++;
            if (bins) bins[tk_code(edges, edge_count, x)]++;
        }
        uint64_t zero = tk_bits(TK_MAGIC) * near;
        tk_add128(&cell->sum_low, &cell->sum_high, (int64_t)(sum - zero));
        tk_add128(&cell->square_low, &cell->square_high, (int64_t)(square - zero));
    }
    cell->count += kept;
    cell->min = min + 0.0;
    cell->max = max + 0.0;
    return kept;
}

size_t tk_fold_ordered_scalar(
    const double *column, const uint16_t *rows, size_t count, tk_ordered_cell *cell,
    const double *edges, size_t edge_count, uint64_t *bins, float *run) {
    tk_sum_in_order(column, rows, count, cell);
    double min = cell->min, max = cell->max;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        double x = column[rows[i]];
        if (!(fabs(x) < INFINITY)) continue;
        min = x < min ? x : min;
        max = x > max ? x : max;
        if (run) run[kept] = tk_item(x);
        kept++;
        if (bins) bins[tk_code(edges, edge_count, x)]++;
    }
    cell->count += kept;
    cell->min = min + 0.0;
    cell->max = max + 0.0;
    return kept;
}

/// Four passes over one byte each of the order-preserving bits.
void tk_sort256_scalar(float *values) {
    uint32_t a[256], b[256];
    uint16_t at[4][256] = {{0}};
    for (int i = 0; i < 256; i++) {
        uint32_t bits;
        memcpy(&bits, values + i, 4);
        bits ^= (uint32_t)((int32_t)bits >> 31) | 0x80000000u;
        a[i] = bits;
        for (int p = 0; p < 4; p++) at[p][bits >> (8 * p) & 255]++;
    }
    uint32_t *from = a, *to = b;
    for (int p = 0; p < 4; p++) {
        uint16_t next = 0;
        for (int v = 0; v < 256; v++) {
            uint16_t n = at[p][v];
            at[p][v] = next;
            next = (uint16_t)(next + n);
        }
        for (int i = 0; i < 256; i++) to[at[p][from[i] >> (8 * p) & 255]++] = from[i];
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    for (int i = 0; i < 256; i++) {
        uint32_t bits = from[i];
        bits ^= bits & 0x80000000u ? 0x80000000u : 0xffffffffu;
        memcpy(values + i, &bits, 4);
    }
}

/// Eight passes over one byte each of the order-preserving bits.
void tk_sort256_f64_scalar(double *values) {
    uint64_t a[256], b[256];
    uint16_t at[8][256] = {{0}};
    for (int i = 0; i < 256; i++) {
        uint64_t bits = tk_bits(values[i]);
        bits ^= (uint64_t)((int64_t)bits >> 63) | 0x8000000000000000u;
        a[i] = bits;
        for (int p = 0; p < 8; p++) at[p][bits >> (8 * p) & 255]++;
    }
    uint64_t *from = a, *to = b;
    for (int p = 0; p < 8; p++) {
        uint16_t next = 0;
        for (int v = 0; v < 256; v++) {
            uint16_t n = at[p][v];
            at[p][v] = next;
            next = (uint16_t)(next + n);
        }
        for (int i = 0; i < 256; i++) to[at[p][from[i] >> (8 * p) & 255]++] = from[i];
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    for (int i = 0; i < 256; i++) {
        uint64_t bits = from[i];
        bits ^= bits >> 63 ? 0x8000000000000000u : UINT64_MAX;
        memcpy(values + i, &bits, 8);
    }
}
