// The dictionary of texts, for C++ that reads texts in a hot loop: `intern` is inlined there.
#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>
#if defined(__BMI2__)
#include <immintrin.h>
#endif

namespace tidemark {

/// The first bytes of a text, at most 16, zeros behind them.
struct Sixteen {
    uint64_t low, high;
    bool operator==(const Sixteen &other) const { return low == other.low && high == other.high; }
};

/// The lowest `count` bytes of a word; all of them from 8 on.
inline uint64_t lowBytes(uint64_t word, size_t count) {
#if defined(__BMI2__)
    return _bzhi_u64(word, static_cast<unsigned>(count < 8 ? 8 * count : 64));
#else
    return count < 8 ? word & ((1ULL << 8 * count) - 1) : word;
#endif
}

/// 16 bytes must be readable at `bytes`, whatever the length.
inline Sixteen loadSixteen(const uint8_t *bytes, size_t length) {
    // Without a branch, and never through vector registers: lengths of texts are not foreseen, and
    // the words are hashed next.
    uint64_t low, high;
    memcpy(&low, bytes, 8);
    memcpy(&high, bytes + 8, 8);
    return Sixteen{lowBytes(low, length), lowBytes(high, length > 8 ? length - 8 : 0)};
}

/// Texts of a column, numbered from 0 in the order of arrival; `CDictionary.h` is its face for C and Swift.
class Dictionary {
public:
    Dictionary() { reset(16); }

    /// The code of `bytes`, added if new. 16 bytes must be readable at `bytes`.
    uint32_t intern(const uint8_t *bytes, size_t length) {
        return intern(prepare(bytes, length), bytes, length);
    }

    /// What `intern` works out of a text before it looks at the table.
    struct Prepared { Sixteen head; uint64_t hash; };

    /// Starts to fetch the text's place in the table, so that others can be prepared meanwhile.
    Prepared prepare(const uint8_t *bytes, size_t length) const {
        Sixteen head = loadSixteen(bytes, length);
        uint64_t hash = mix(head, length, bytes);
        __builtin_prefetch(slots_.data() + (hash & mask_));
        return Prepared{head, hash};
    }

    uint32_t intern(const Prepared &prepared, const uint8_t *bytes, size_t length) {
        auto [head, hash] = prepared;
        for (size_t at = hash & mask_;; at = (at + 1) & mask_) {
            const Slot &slot = slots_[at];
            if (slot.code == none) return insert(at, head, hash, bytes, length);
            if (slot.low == head.low && slot.high == head.high && slot.length == length
                && (length <= 16 || memcmp(blob_.data() + starts_[slot.code], bytes, length) == 0))
                return slot.code;
        }
    }

    uint32_t count() const { return static_cast<uint32_t>(starts_.size()); }
    size_t byteCount() const {
        return blob_.capacity() + slots_.capacity() * sizeof(Slot) + starts_.capacity() * 12;
    }
    const uint8_t *value(uint32_t code, size_t *length) const {
        *length = lengths_[code];
        return reinterpret_cast<const uint8_t *>(blob_.data()) + starts_[code];
    }
    void compact(const uint8_t *used, uint32_t *remap);

private:
    static constexpr uint32_t none = UINT32_MAX;
    struct Slot { uint64_t low, high; uint32_t code; uint32_t length; };

    static uint64_t mix(Sixteen head, size_t length, const uint8_t *bytes) {
        uint64_t hash = (head.low ^ 0x9e3779b97f4a7c15ULL) * 0xff51afd7ed558ccdULL;
        hash = (hash ^ (hash >> 32) ^ head.high) * 0xc4ceb9fe1a85ec53ULL;
        hash ^= length * 0x9e3779b97f4a7c15ULL;
        for (size_t i = 16; i < length; i += 8) {
            uint64_t word = 0;
            memcpy(&word, bytes + i, length - i < 8 ? length - i : 8);
            hash = (hash ^ word) * 0xff51afd7ed558ccdULL;
            hash ^= hash >> 29;
        }
        return hash ^ (hash >> 32);
    }
    uint32_t insert(size_t at, Sixteen head, uint64_t hash, const uint8_t *bytes, size_t length);
    void reset(size_t slotCount);

    std::vector<Slot> slots_;
    size_t mask_ = 0;
    std::vector<size_t> starts_;
    std::vector<uint32_t> lengths_;
    std::string blob_;
};

} // namespace tidemark

struct tm_dictionary {
    tidemark::Dictionary texts;
};
