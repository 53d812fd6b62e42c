// A table of integers and their counts, in buckets of eight that are compared at once. Included once
// a tier, with TK_NET(name), TK_TARGET and TK_EQUAL8(keys, key) defined: bit i says that keys[i] is
// the key.
//
// A free place holds a key of another bucket (`tk_clear_items`), so a bucket's own keys are found by
// comparing alone. A key whose bucket is full lies in the next one that is not.

enum { TK_ITEM_BLOCK = 256 };

#ifndef TK_OWN_FIND
/// Finds values by comparing each with its bucket: `known` says which places hold some, `left` which
/// values no place does; there is room for 16 more in each.
///
/// - Returns: how many are known.
TK_TARGET static size_t TK_NET(tk_find_items)(
    const uint64_t *keys, const int64_t *values, const uint32_t *home, size_t count,
    uint32_t *known, uint32_t *left) {
    size_t hits = 0, misses = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned found = TK_EQUAL8(keys + 8 * (size_t)home[i], (uint64_t)values[i]);
        known[hits] = 8 * home[i] + (unsigned)__builtin_ctz(found | 256);
        left[misses] = (uint32_t)i;
        hits += found != 0;
        misses += found == 0;
    }
    return hits;
}
#endif

/// Adds values, each once, until `room` of them were new; `added` says how many were.
///
/// Blocks go in three passes without a branch on the data in the first two: what is known is
/// found, then counted; the rest is put in place. Within a block nothing is ever taken out, so its
/// order makes no difference.
TK_TARGET size_t TK_NET(tk_add_items)(
    const tk_item_table *table, const int64_t *values, size_t count, size_t room, size_t *added) {
    uint64_t *keys = table->keys, *counts = table->counts;
    uint8_t *fill = table->fill;
    const int shift = 64 - table->lg_buckets;
    const size_t mask = ((size_t)1 << table->lg_buckets) - 1;
    uint32_t home[TK_ITEM_BLOCK], known[TK_ITEM_BLOCK + 16], left[TK_ITEM_BLOCK + 16];
    size_t done = 0, used = 0;
    while (done < count && used < room) {
        size_t part = count - done < room - used ? count - done : room - used;
        part = part < TK_ITEM_BLOCK ? part : TK_ITEM_BLOCK;
        for (size_t i = 0; i < part; i++)
            home[i] = (uint32_t)(tk_item_hash((uint64_t)values[done + i]) >> shift);
        size_t hits = TK_NET(tk_find_items)(keys, values + done, home, part, known, left);
        size_t misses = part - hits;
        for (size_t i = 0; i < hits; i++) counts[known[i]]++;
        for (size_t i = 0; i < misses; i++) {
            uint64_t key = (uint64_t)values[done + left[i]];
            size_t bucket = home[left[i]];
            for (;;) {
                unsigned taken = fill[bucket];
                unsigned found = TK_EQUAL8(keys + 8 * bucket, key) & ((1u << taken) - 1);
                if (__builtin_expect(found != 0, 0)) {
                    counts[8 * bucket + (unsigned)__builtin_ctz(found)]++;
                    break;
                }
                if (__builtin_expect(taken < 8, 1)) {
                    keys[8 * bucket + taken] = key;
                    counts[8 * bucket + taken] = 1;
                    fill[bucket] = (uint8_t)(taken + 1);
                    used++;
                    break;
                }
                bucket = (bucket + 1) & mask;
            }
        }
        done += part;
    }
    *added = used;
    return done;
}

/// How many counts exceed `bound`.
TK_TARGET size_t TK_NET(tk_count_above)(const uint64_t *counts, size_t count, uint64_t bound) {
    size_t above = 0;
    TK_LOOP for (size_t i = 0; i < count; i++) above += counts[i] > bound;
    return above;
}

#ifndef TK_OWN_REDUCE
/// Writes what exceeds `bound`, less the bound, aside: each to the next free place, which one that does
/// not leaves free. Then into the table again.
TK_TARGET size_t TK_NET(tk_reduce_items)(
    const tk_item_table *table, uint64_t bound, uint64_t *keys, uint64_t *counts) {
    size_t kept = 0, places = (size_t)8 << table->lg_buckets;
    for (size_t i = 0; i < places; i++) {
        keys[kept] = table->keys[i];
        counts[kept] = table->counts[i] - bound;
        kept += table->counts[i] > bound;
    }
    tk_clear_items(table);
    tk_place_items(table, keys, counts, kept);
    return kept;
}
#endif
