#include "CDictionary.h"
#include "dictionary.hpp"

namespace tidemark {

void Dictionary::reset(size_t slotCount) {
    slots_.assign(slotCount, Slot{0, 0, none, 0});
    mask_ = slotCount - 1;
}

uint32_t Dictionary::insert(
    size_t at, Sixteen head, uint64_t, const uint8_t *bytes, size_t length) {
    auto code = static_cast<uint32_t>(starts_.size());
    starts_.push_back(blob_.size());
    lengths_.push_back(static_cast<uint32_t>(length));
    blob_.append(reinterpret_cast<const char *>(bytes), length);
    slots_[at] = Slot{head.low, head.high, code, static_cast<uint32_t>(length)};
    if (starts_.size() * 2 > slots_.size()) {
        std::vector<Slot> old;
        old.swap(slots_);
        reset(old.size() * 2);
        for (const Slot &slot : old) {
            if (slot.code == none) continue;
            size_t length;
            const uint8_t *value = this->value(slot.code, &length);
            size_t place = mix(Sixteen{slot.low, slot.high}, length, value) & mask_;
            while (slots_[place].code != none) place = (place + 1) & mask_;
            slots_[place] = slot;
        }
    }
    return code;
}

void Dictionary::compact(const uint8_t *used, uint32_t *remap) {
    Dictionary kept;
    for (uint32_t code = 0; code < count(); code++) {
        remap[code] = none;
        if (!used[code]) continue;
        size_t length;
        const uint8_t *bytes = value(code, &length);
        remap[code] = kept.intern(bytes, length);
    }
    *this = std::move(kept);
}

} // namespace tidemark

namespace {

/// `intern` reads 16 bytes, whatever the length.
constexpr size_t padding = 16;

} // namespace

extern "C" tm_dictionary *tm_dictionary_new(void) { return new tm_dictionary(); }
extern "C" void tm_dictionary_free(tm_dictionary *dictionary) { delete dictionary; }

extern "C" uint32_t tm_dictionary_intern(
    tm_dictionary *dictionary, const uint8_t *bytes, size_t length) {
    uint8_t room[256];
    if (length + padding <= sizeof room) {
        if (length) memcpy(room, bytes, length);
        memset(room + length, 0, padding);
        return dictionary->texts.intern(room, length);
    }
    std::string padded(length + padding, '\0');
    memcpy(padded.data(), bytes, length);
    return dictionary->texts.intern(reinterpret_cast<const uint8_t *>(padded.data()), length);
}

extern "C" uint32_t tm_dictionary_count(const tm_dictionary *dictionary) {
    return dictionary->texts.count();
}

extern "C" size_t tm_dictionary_bytes(const tm_dictionary *dictionary) {
    return dictionary->texts.byteCount();
}

extern "C" const uint8_t *tm_dictionary_text(
    const tm_dictionary *dictionary, uint32_t code, size_t *length) {
    return dictionary->texts.value(code, length);
}

extern "C" void tm_dictionary_compact(
    tm_dictionary *dictionary, const uint8_t *used, uint32_t *remap) {
    dictionary->texts.compact(used, remap);
}
