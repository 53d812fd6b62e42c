#include <stdlib.h>

#include "internal.h"

// A thread's own: a test that forces a tier changes no other one that runs beside it.
static _Thread_local int chosen = -1;

static int best(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512cd"))
        return TK_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return TK_AVX2;
#endif
    return TK_SCALAR;
}

int tk_force_tier(int tier) {
    int limit = best();
    if (tier > limit) tier = limit;
    return chosen = tier;
}

static __attribute__((noinline)) int choose(void) {
    const char *wish = getenv("TIDEMARK_SIMD");
    if (wish && !strcmp(wish, "scalar")) return tk_force_tier(TK_SCALAR);
    if (wish && !strcmp(wish, "avx2")) return tk_force_tier(TK_AVX2);
    return tk_force_tier(TK_AVX512);
}

int tk_tier(void) {
    return __builtin_expect(chosen < 0, 0) ? choose() : chosen;
}

size_t tk_fold_exact(
    const double *column, const uint16_t *rows, size_t count, const tk_sum_plan *plan,
    tk_numeric_cell *cell, const double *edges, size_t edge_count, uint64_t *bins, float *run) {
#if defined(__x86_64__)
    if (count >= TK_SHORT_RUN) {
        switch (tk_tier()) {
        case TK_AVX512:
            return tk_fold_exact_avx512(
                column, rows, count, plan, cell, edges, edge_count, bins, run);
        case TK_AVX2:
            return tk_fold_exact_avx2(
                column, rows, count, plan, cell, edges, edge_count, bins, run);
        }
    }
#endif
    return tk_fold_exact_scalar(column, rows, count, plan, cell, edges, edge_count, bins, run);
}

size_t tk_fold_ordered(
    const double *column, const uint16_t *rows, size_t count, tk_ordered_cell *cell,
    const double *edges, size_t edge_count, uint64_t *bins, float *run) {
#if defined(__x86_64__)
    if (count >= TK_SHORT_RUN && tk_tier() == TK_AVX512)
        return tk_fold_ordered_avx512(column, rows, count, cell, edges, edge_count, bins, run);
#endif
    return tk_fold_ordered_scalar(column, rows, count, cell, edges, edge_count, bins, run);
}

void tk_sort256(float *values) {
#if defined(__x86_64__)
    switch (tk_tier()) {
    case TK_AVX512: return tk_sort256_avx512(values);
    case TK_AVX2: return tk_sort256_avx2(values);
    }
#endif
    tk_sort256_scalar(values);
}

void tk_sort256_keep(const float *values, int stride, int offset, float *kept) {
#if defined(__x86_64__)
    switch (tk_tier()) {
    case TK_AVX512: return tk_sort256_keep_avx512(values, stride, offset, kept);
    case TK_AVX2: return tk_sort256_keep_avx2(values, stride, offset, kept);
    }
#endif
    float sorted[256];
    memcpy(sorted, values, sizeof sorted);
    tk_sort256(sorted);
    for (int i = offset, o = 0; i < 256; i += stride) kept[o++] = sorted[i];
}

// Up to 512 values of which the missing ones are infinite.
static void sort512(const float *values, int stride, int offset, float *kept) {
#if defined(__x86_64__)
    if (tk_tier() == TK_AVX512) {
        tk_sort512_keep_avx512(values, stride, offset, kept);
        return;
    }
#endif
    float halves[512], sorted[512];
    memcpy(halves, values, sizeof halves);
    tk_sort256(halves);
    tk_sort256(halves + 256);
    // From both ends at once: either end takes 256, so neither list is left.
    const float *first = halves, *other = halves + 256;
    const float *last = halves + 255, *rest = halves + 511;
    for (int i = 0; i < 256; i++) {
        float x = *first, y = *other, p = *last, q = *rest;
        int left = x <= y, right = p > q;
        sorted[i] = x < y ? x : y;
        sorted[511 - i] = p > q ? p : q;
        first += left;
        other += 1 - left;
        last -= right;
        rest -= 1 - right;
    }
    for (int i = offset, o = 0; i < 512; i += stride) kept[o++] = sorted[i];
}

void tk_sort512_keep(const float *values, size_t count, int stride, int offset, float *kept) {
    if (count == 512) {
        sort512(values, stride, offset, kept);
        return;
    }
    float padded[512], sorted[512];
    memcpy(padded, values, count * sizeof(float));
    for (size_t i = count; i < 512; i++) padded[i] = INFINITY;
    sort512(padded, stride, offset, sorted);
    memcpy(kept, sorted, count / (size_t)stride * sizeof(float));
}

#if defined(__x86_64__)
#define TK_CHOOSE(name, ...) \
    switch (tk_tier()) { \
    case TK_AVX512: name##_avx512(__VA_ARGS__); return; \
    case TK_AVX2: name##_avx2(__VA_ARGS__); return; \
    } \
    name##_scalar(__VA_ARGS__);
#else
#define TK_CHOOSE(name, ...) name##_scalar(__VA_ARGS__);
#endif

void tk_coupons(const int64_t *values, size_t count, uint32_t *coupons) {
    TK_CHOOSE(tk_coupons, values, count, coupons)
}

void tk_cubic_codes(const double *values, size_t count, double multiplier, int32_t *codes) {
    TK_CHOOSE(tk_cubic_codes, values, count, multiplier, codes)
}

void tk_log_linear_codes(const double *values, size_t count, int bits, int32_t *codes) {
    TK_CHOOSE(tk_log_linear_codes, values, count, bits, codes)
}

void tk_moments64(const double *values, double shift, double *out) {
    TK_CHOOSE(tk_moments64, values, shift, out)
}

void tk_comoments64(double *values, size_t width, double *means, double *sums) {
    TK_CHOOSE(tk_comoments64, values, width, means, sums)
}

void tk_sort256_f64(double *values) { TK_CHOOSE(tk_sort256_f64, values) }

// A search in registers with AVX-512; else comparing with all edges while they are few.
void tk_bin_codes(
    const double *values, size_t count, const double *edges, size_t edge_count, uint16_t *out) {
#if defined(__x86_64__)
    if (tk_tier() == TK_AVX512) {
        tk_bin_codes_avx512(values, count, edges, edge_count, out);
        return;
    }
#endif
    if (edge_count <= 64) {
        TK_CHOOSE(tk_few_edges, values, count, edges, edge_count, out)
        return;
    }
    for (size_t i = 0; i < count; i++)
        out[i] = fabs(values[i]) < INFINITY ? (uint16_t)tk_code(edges, edge_count, values[i])
                                            : 0xffff;
}

void tk_split_signs(
    const double *values, size_t count, double least, double *positive, double *negative,
    size_t counts[3]) {
    TK_CHOOSE(tk_split_signs, values, count, least, positive, negative, counts)
}

#if defined(__x86_64__)
#define TK_RETURN(name, ...) \
    switch (tk_tier()) { \
    case TK_AVX512: return name##_avx512(__VA_ARGS__); \
    case TK_AVX2: return name##_avx2(__VA_ARGS__); \
    } \
    return name##_scalar(__VA_ARGS__);
#else
#define TK_RETURN(name, ...) return name##_scalar(__VA_ARGS__);
#endif

size_t tk_add_items(
    const tk_item_table *table, const int64_t *values, size_t count, size_t room, size_t *added) {
    TK_RETURN(tk_add_items, table, values, count, room, added)
}

size_t tk_count_above(const uint64_t *counts, size_t count, uint64_t bound) {
    TK_RETURN(tk_count_above, counts, count, bound)
}

size_t tk_reduce_items(
    const tk_item_table *table, uint64_t bound, uint64_t *keys, uint64_t *counts) {
    TK_RETURN(tk_reduce_items, table, bound, keys, counts)
}

void tk_clear_items(const tk_item_table *table) {
    size_t buckets = (size_t)1 << table->lg_buckets;
    memset(table->keys, 0, 64 * buckets);
    memset(table->counts, 0, 64 * buckets);
    memset(table->fill, 0, buckets);
    for (int i = 0; i < 8; i++) table->keys[i] = TK_LATER_KEY;
}

/// Where a value is held, or else the free place for it.
static size_t find(const tk_item_table *table, uint64_t key, int *held) {
    size_t mask = ((size_t)1 << table->lg_buckets) - 1;
    size_t bucket = tk_item_hash(key) >> (64 - table->lg_buckets);
    for (;; bucket = (bucket + 1) & mask) {
        unsigned taken = table->fill[bucket];
        for (unsigned i = 0; i < taken; i++) {
            *held = table->keys[8 * bucket + i] == key;
            if (*held) return 8 * bucket + i;
        }
        *held = 0;
        if (taken < 8) return 8 * bucket + taken;
    }
}

int tk_add_item(const tk_item_table *table, int64_t value, uint64_t weight) {
    int held;
    size_t at = find(table, (uint64_t)value, &held);
    table->keys[at] = (uint64_t)value;
    table->counts[at] += weight;
    table->fill[at / 8] += !held;
    return !held;
}

uint64_t tk_item_count(const tk_item_table *table, int64_t value) {
    int held;
    size_t at = find(table, (uint64_t)value, &held);
    return held ? table->counts[at] : 0;
}

void tk_place_items(
    const tk_item_table *table, const uint64_t *keys, const uint64_t *counts, size_t count) {
    size_t mask = ((size_t)1 << table->lg_buckets) - 1;
    for (size_t i = 0; i < count; i++) {
        size_t bucket = tk_item_hash(keys[i]) >> (64 - table->lg_buckets);
        while (__builtin_expect(table->fill[bucket] == 8, 0)) bucket = (bucket + 1) & mask;
        size_t at = 8 * bucket + table->fill[bucket]++;
        table->keys[at] = keys[i];
        table->counts[at] = counts[i];
    }
}

void tk_raise_registers(
    uint8_t *registers, uint32_t mask, const uint32_t *coupons, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t slot = coupons[i] & mask;
        uint8_t run = (uint8_t)(coupons[i] >> 26);
        if (__builtin_expect(registers[slot] < run, 0)) registers[slot] = run;
    }
}

// All registers once for each value that occurs: about fifteen, and 32 registers at a time.
void tk_count_registers(const uint8_t *registers, size_t count, uint32_t counts[64]) {
    typedef uint8_t lanes __attribute__((vector_size(32), aligned(1)));
    memset(counts, 0, 64 * sizeof(uint32_t));
    if (count < 32) {
        for (size_t i = 0; i < count; i++) counts[registers[i] & 63]++;
        return;
    }
    size_t seen = 0;
    for (int value = 0; value < 64 && seen < count; value++) {
        const lanes wanted = (lanes){} + (uint8_t)value;
        uint32_t found = 0;
        for (size_t start = 0; start < count;) {
            // A lane counts to 255.
            size_t end = count - start > 255 * 32 ? start + 255 * 32 : count;
            lanes sums = {};
            for (; start < end; start += 32)
                sums -= (lanes)(*(const lanes *)(registers + start) == wanted);
            for (int i = 0; i < 32; i++) found += sums[i];
        }
        counts[value] = found;
        seen += found;
    }
}

void tk_max_bytes(uint8_t *into, const uint8_t *other, size_t count) {
    for (size_t i = 0; i < count; i++) into[i] = into[i] > other[i] ? into[i] : other[i];
}

int tk_has_baseline(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi")
        && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
#else
    return 1;
#endif
}

void tk_prefetch(const void *start, size_t byte_count) {
    const char *from = start, *end = from + byte_count;
    for (from -= (uintptr_t)from & 63; from < end; from += 64) __builtin_prefetch(from, 1, 3);
}

void tk_prefetch_reading(const void *start, size_t byte_count) {
    const char *from = start, *end = from + byte_count;
    for (from -= (uintptr_t)from & 63; from < end; from += 64) __builtin_prefetch(from, 0, 3);
}
