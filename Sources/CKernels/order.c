#include "internal.h"

#include <stdlib.h>

// Four chains at once: from both ends, and from the middle, whose place in both lists is searched
// first. No branch depends on the keys.
void tk_merge_keys(
    uint64_t *a, size_t a_count, uint64_t *b, size_t b_count, uint64_t *into) {
    a[a_count] = b[b_count] = UINT64_MAX;
    a[-1] = b[-1] = 0;
    size_t total = a_count + b_count, half = total / 2, quarter = half / 2;
    size_t low = half > b_count ? half - b_count : 0, high = half < a_count ? half : a_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (a[middle] <= b[half - middle - 1]) low = middle + 1;
        else high = middle;
    }
    // How many keys of `a` stand before each chain's place; the rest of the place is keys of `b`.
    size_t up = 0, down = low, upper_up = low, upper_down = a_count, n = 0;
    const uint64_t *before = a - 1;
    const uint64_t *b_down = b + half - 1, *b_up = b + half, *b_last = b + total - 1;
    uint64_t *into_down = into + half - 1, *into_up = into + half, *into_last = into + total - 1;
    for (; n < quarter; n++) {
        uint64_t x0 = a[up], y0 = b[n - up];
        uint64_t x1 = before[down], y1 = *(b_down - (down + n));
        uint64_t x2 = a[upper_up], y2 = *(b_up + n - upper_up);
        uint64_t x3 = before[upper_down], y3 = *(b_last - (upper_down + n));
        into[n] = x0 <= y0 ? x0 : y0;
        *(into_down - n) = x1 > y1 ? x1 : y1;
        into_up[n] = x2 <= y2 ? x2 : y2;
        *(into_last - n) = x3 > y3 ? x3 : y3;
        up += x0 <= y0;
        down -= x1 > y1;
        upper_up += x2 <= y2;
        upper_down -= x3 > y3;
    }
    for (size_t i = n; i < half - n; i++) {
        uint64_t x = a[up], y = b[i - up];
        into[i] = x <= y ? x : y;
        up += x <= y;
    }
    for (size_t i = n; i < total - half - n; i++) {
        uint64_t x = a[upper_up], y = *(b_up + i - upper_up);
        into_up[i] = x <= y ? x : y;
        upper_up += x <= y;
    }
}

/// Sorts a copy of up to 512 items.
static void sort_items(const float *items, size_t count, float *sorted) {
    if (count > 256) {
        tk_sort512_keep(items, count, 1, 0, sorted);
        return;
    }
    memcpy(sorted, items, count * sizeof(float));
    if (count > 24) {
        for (size_t i = count; i < 256; i++) sorted[i] = INFINITY;
        tk_sort256(sorted);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        float x = sorted[i];
        size_t at = i;
        for (; at > 0 && sorted[at - 1] > x; at--) sorted[at] = sorted[at - 1];
        sorted[at] = x;
    }
}

/// Up to 512 items in order: themselves, as what one compaction moved up is, or a sorted copy.
static const float *in_order(const float *items, size_t count, float *room) {
    int falls = 0;
    for (size_t i = 1; i < count; i++) falls |= items[i - 1] > items[i];
    if (!falls) return items;
    sort_items(items, count, room);
    return room;
}

/// Writes up to 512 items as ascending keys: bits that order as the value does, above the level.
static void sorted_keys(const float *items, size_t count, size_t level, uint64_t *keys) {
    float room[512];
    const float *from = in_order(items, count, room);
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, from + i, sizeof bits);
        bits ^= (uint32_t)((int32_t)bits >> 31) | 0x80000000u;
        keys[i] = (uint64_t)bits << 32 | level;
    }
}

void tk_order_levels(
    tk_level *levels, size_t level_count, float *values, uint64_t *cumulative) {
    size_t total = 0;
    for (size_t i = 0; i < level_count; i++) total += levels[i].count;
    if (total == 0) return;
    // Small ones first: what is merged early is merged again. The keys alone decide the order.
    for (size_t i = 1; i < level_count; i++) {
        tk_level level = levels[i];
        size_t at = i;
        for (; at > 0 && levels[at - 1].count > level.count; at--) levels[at] = levels[at - 1];
        levels[at] = level;
    }
    // Two lists that take turns, and up to 512 keys that are added, each between two guards.
    size_t room = total + 2;
    uint64_t stack[2 * (1024 + 2)], added[512 + 2];
    uint64_t *heap = NULL, *base = stack;
    if (total > 1024) {
        heap = malloc(2 * room * sizeof(uint64_t));
        if (!heap) abort();
        base = heap;
    }
    uint64_t *merged = base + 1, *spare = base + room + 1;
    size_t used = 0;
    for (size_t i = 0; i < level_count; i++) {
        for (size_t start = 0; start < levels[i].count; start += 512) {
            size_t count = levels[i].count - start < 512 ? levels[i].count - start : 512;
            if (used == 0) {
                sorted_keys(levels[i].items + start, count, levels[i].level, merged);
            } else {
                sorted_keys(
                    levels[i].items + start, count, levels[i].level, added + 1);
                tk_merge_keys(merged, used, added + 1, count, spare);
                uint64_t *last = merged;
                merged = spare;
                spare = last;
            }
            used += count;
        }
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < total; i++) {
        sum += (uint64_t)1 << (merged[i] & 63);
        cumulative[i] = sum;
    }
    for (size_t i = 0; i < total; i++) {
        uint32_t bits = (uint32_t)(merged[i] >> 32);
        bits ^= ~(uint32_t)((int32_t)bits >> 31) | 0x80000000u;
        memcpy(values + i, &bits, sizeof bits);
    }
    free(heap);
}

/// How many of some items in order are <= x: halves down to a few lines, which are counted side by side.
static size_t count_up_to(const float *items, size_t count, float x) {
    size_t at = 0, left = count;
    while (left > 32) {
        size_t half = left / 2;
        at += __builtin_unpredictable(items[at + half - 1] <= x) ? half : 0;
        left -= half;
    }
    int32_t few = 0;
    for (size_t i = 0; i < left; i++) few += items[at + i] <= x;
    return at + (size_t)few;
}

// Each level by itself is in order soon, and their common order is only wanted at a few places. Where
// the heaviest level has a place is nearly where all of them have it; from there one item at a time.
void tk_reach_weights(
    const tk_level *levels, size_t level_count, const uint64_t *weights, size_t weight_count,
    float *reached) {
    float room[TK_REACH_ITEMS + 512];
    const float *lists[64];
    size_t counts[64], levels_of[64], places[64], used = 0, filled = 0, heaviest = 0;
    uint64_t total = 0, most = 0;
    for (size_t i = 0; i < level_count; i++) {
        if (levels[i].count == 0) continue;
        lists[used] = in_order(levels[i].items, levels[i].count, room + filled);
        filled += levels[i].count;
        counts[used] = levels[i].count;
        levels_of[used] = levels[i].level;
        uint64_t weight = (uint64_t)levels[i].count << levels[i].level;
        total += weight;
        if (weight > most) most = weight, heaviest = used;
        used++;
    }
    for (size_t i = 0; i < weight_count; i++) {
        uint64_t wanted = weights[i], sum = 0;
        size_t guess = (size_t)((double)wanted / (double)total * (double)counts[heaviest]);
        if (guess >= counts[heaviest]) guess = counts[heaviest] - 1;
        float x = lists[heaviest][guess];
        for (size_t l = 0; l < used; l++) {
            places[l] = count_up_to(lists[l], counts[l], x);
            sum += (uint64_t)places[l] << levels_of[l];
        }
        while (sum < wanted) {
            // The least of those behind.
            size_t next = used;
            for (size_t l = 0; l < used; l++)
                if (places[l] < counts[l] && (next == used || lists[l][places[l]] < x)) {
                    next = l;
                    x = lists[l][places[l]];
                }
            places[next]++;
            sum += (uint64_t)1 << levels_of[next];
            if (sum >= wanted) goto found;
        }
        for (;;) {
            // The greatest of those before, until without it the weight is not reached.
            size_t last = used;
            for (size_t l = 0; l < used; l++)
                if (places[l] > 0 && (last == used || lists[l][places[l] - 1] > x)) {
                    last = l;
                    x = lists[l][places[l] - 1];
                }
            places[last]--;
            sum -= (uint64_t)1 << levels_of[last];
            if (sum < wanted) break;
        }
    found:
        reached[i] = x;
    }
}
