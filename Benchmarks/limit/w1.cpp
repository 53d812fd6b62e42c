// The limit to measure against: workload W1 as a straight line of C++, with no engine.
//
// simdjson On-Demand reads the keys in their order, and each value goes at once into the counts, sums,
// bins and sample of its (model, minute, column); a sample sorts 256 values in registers (the kernel of
// CKernels) and keeps every 8th. Texts are counted by code. No rule of an engine is obeyed: no watermark,
// no late rows, no dead letters, no restart, no sketch that could be merged; one line a cell is printed.
//
// usage: w1 W1.ndjson
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>
#include <simdjson.h>

extern "C" {
#include "CKernels.h"
}

namespace {

constexpr int numberCount = 13, categoryCount = 3;

/// Codes of texts: an open table by the first 16 bytes; longer texts take the slow map.
struct Dictionary {
    struct Slot { uint64_t low, high; unsigned length, code; };
    std::vector<Slot> slots = std::vector<Slot>(1 << 16, Slot{0, 0, ~0u, 0});
    std::unordered_map<std::string, unsigned> rest;
    unsigned count = 0;

    unsigned code(std::string_view text) {
        if (text.size() > 16) {
            auto [place, isNew] = rest.try_emplace(std::string(text), count);
            count += isNew;
            return place->second;
        }
        uint64_t word[2] = {0, 0};
        std::memcpy(word, text.data(), text.size());
        uint64_t hash = (word[0] * 0x9e3779b97f4a7c15 ^ word[1]) * 0xff51afd7ed558ccd;
        for (size_t at = hash >> 48;; at = (at + 1) & 0xffff) {
            Slot &slot = slots[at];
            if (slot.length == text.size() && slot.low == word[0] && slot.high == word[1]) return slot.code;
            if (slot.length != ~0u) continue;
            slot = {word[0], word[1], static_cast<unsigned>(text.size()), count};
            return count++;
        }
    }
};

struct Numbers {
    float buffer[256];
    unsigned held = 0;
    long count = 0;
    double sum = 0, square = 0;
    std::array<long, 22> bins{};
    std::vector<float> kept;

    void add(double x) {
        count++;
        sum += x;
        square += x * x;
        // Any edges cost the same: 20 equal bins between -3 and 17, and what is outside.
        bins[static_cast<size_t>(std::clamp(x + 4, 0.0, 21.0))]++;
        buffer[held++] = static_cast<float>(x) + 0.0f;
        if (held < 256) return;
        kept.resize(kept.size() + 32);
        tk_sort256_keep(buffer, 8, static_cast<int>(kept.size() / 32 % 8), kept.data() + kept.size() - 32);
        held = 0;
    }
};

struct Cell {
    std::array<Numbers, numberCount> numbers;
    std::array<std::vector<unsigned>, categoryCount> counts;
    long rows = 0;
};

void close(const std::string &name, long minute, Cell &cell) {
    std::printf("%s %ld %ld", name.c_str(), minute, cell.rows);
    for (Numbers &column : cell.numbers) {
        for (unsigned i = 0; i < column.held; i += 8) column.kept.push_back(column.buffer[i]);
        auto &values = column.kept;
        std::sort(values.begin(), values.end());
        double n = static_cast<double>(column.count), mean = column.sum / n;
        if (values.empty()) continue;
        std::printf(" %g %g", mean, std::sqrt(std::max(0.0, column.square / n - mean * mean)));
        for (double q : {.01, .05, .25, .5, .75, .95, .99})
            std::printf(" %g", static_cast<double>(values[static_cast<size_t>(q * static_cast<double>(values.size() - 1))]));
    }
    for (auto &counts : cell.counts) {
        std::vector<std::pair<unsigned, unsigned>> order;
        for (unsigned code = 0; code < counts.size(); code++)
            if (counts[code]) order.emplace_back(counts[code], code);
        size_t top = std::min<size_t>(10, order.size());
        std::partial_sort(order.begin(), order.begin() + static_cast<long>(top), order.end(), std::greater<>());
        std::printf(" %zu", order.size());
        counts.assign(counts.size(), 0);
    }
    std::printf("\n");
}

} // namespace

int main(int argumentCount, char **arguments) {
    if (argumentCount != 2) return 2;
    simdjson::padded_string text;
    if (simdjson::padded_string::load(arguments[1]).get(text)) return 4;
    simdjson::ondemand::parser parser;
    Dictionary models, texts[categoryCount];
    std::vector<std::unique_ptr<Cell>> cells;
    long firstMinute = 0;
    static const char *names[] = {"f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9", "f10", "f11"};
    std::string_view all(text.data(), text.size());
    auto number = [](Cell &cell, int c, simdjson::ondemand::value value) {
        double x;
        if (!value.is_null() && !value.get_double().get(x)) cell.numbers[static_cast<size_t>(c)].add(x);
    };
    for (size_t at = 0; at < all.size();) {
        size_t end = all.find('\n', at);
        if (end == std::string_view::npos) end = all.size();
        simdjson::ondemand::document document;
        if (parser.iterate(text.data() + at, end - at, text.size() + simdjson::SIMDJSON_PADDING - at).get(document)) return 1;
        simdjson::ondemand::object object = document.get_object();
        unsigned model = models.code(object.find_field("model").get_string().value());
        long ts = static_cast<long>(object.find_field("ts").get_int64().value());
        // W1 begins at its earliest minute and has three models.
        if (cells.empty()) firstMinute = ts / 60000;
        auto place = static_cast<size_t>((ts / 60000 - firstMinute) * 3 + model);
        if (place >= cells.size()) cells.resize(place + 1);
        if (!cells[place]) cells[place] = std::make_unique<Cell>();
        Cell &cell = *cells[place];
        cell.rows++;
        for (int c = 0; c < 12; c++) number(cell, c, object.find_field(names[c]).value());
        for (int c = 0; c < categoryCount; c++) {
            static const char *keys[] = {"c0", "c1", "c2"};
            auto value = object.find_field(keys[c]).value();
            if (value.is_null()) continue;
            unsigned code = texts[c].code(value.get_string().value());
            if (code >= cell.counts[c].size()) cell.counts[c].resize(code + 1);
            cell.counts[c][code]++;
        }
        number(cell, 12, object.find_field("score").value());
        at = end + 1;
    }
    for (size_t place = 0; place < cells.size(); place++)
        if (cells[place]) close(std::to_string(place % 3), firstMinute + static_cast<long>(place / 3), *cells[place]);
    return 0;
}
