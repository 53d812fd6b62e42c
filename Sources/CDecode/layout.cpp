// Reading blocks of rows by the layout that they share.

#include "decoder.hpp"

#include <array>
#include <bit>
#include <cmath>

using namespace tidemark;

// MARK: A block of rows

int tm_json::layoutOf(uint32_t row, const Counts &counts, uint32_t length) {
    Speculation &s = speculation;
    if (counts.isDoubtful) return -1;
    const uint8_t *record = s.record[row];
    const uint16_t *ends = s.ends.data() + row * s.stride + 16;
    auto layoutCount = static_cast<uint32_t>(s.layouts.size());
    bool isValid = false;
    // The last row's first.
    for (uint32_t turn = 0; turn < layoutCount; turn++) {
        uint32_t at = s.latest + turn;
        if (at >= layoutCount) at -= layoutCount;
        const Layout &layout = s.layouts[at];
        if (layout.counts.segments != counts.segments || layout.counts.marks != counts.marks
            || layout.counts.controls != counts.controls || counts.wides < layout.counts.wides)
            continue;
        auto surplus = static_cast<int32_t>(counts.quotes - layout.counts.quotes);
        if (!matchesLiterals(s.tier, layout, record, ends, false)) {
            if (layout.texts.empty() || !matchesLiterals(s.tier, layout, record, ends, true)) continue;
            // Some unread value is no text this time.
            bool isGood = true;
            for (const LayoutSkip &skip : layout.texts) {
                const uint8_t *first = record + ends[static_cast<ptrdiff_t>(skip.segment) - 1] + skip.before;
                const uint8_t *last = record + ends[skip.segment] - skip.behind;
                if (*first != '"') surplus += 2;
                else isGood &= last[-1] == '"';
            }
            if (!isGood) continue;
        }
        bool isFixed = true;
        for (uint32_t segment : layout.fixed)
            isFixed &= ends[segment] - ends[static_cast<ptrdiff_t>(segment) - 1] == layout.lengths[segment];
        if (!isFixed) continue;
        if (counts.wides != layout.counts.wides && !isValid) {
            isValid = simdjson::validate_utf8(reinterpret_cast<const char *>(record), length);
            if (!isValid) return -1;
        }
        s.quotes[row] = surplus;
        s.latest = at;
        return static_cast<int>(at);
    }
    return -1;
}

/// Whether all rows of the block have the layout of the last one, proved a literal at a time: the
/// places of the values are transposed then.
bool tm_json::haveOneLayout(const Counts *counts, uint32_t rowCount) {
    Speculation &s = speculation;
    const Layout &layout = s.layouts[s.latest];
    bool isAlike = true;
    for (uint32_t i = 0; i < rowCount; i++) {
        isAlike &= !counts[i].isDoubtful & (counts[i].segments == layout.counts.segments)
            & (counts[i].marks == layout.counts.marks) & (counts[i].controls == layout.counts.controls)
            & (counts[i].wides == layout.counts.wides);
        s.quotes[i] = static_cast<int32_t>(counts[i].quotes - layout.counts.quotes);
    }
    if (!isAlike) return false;
    transpose(layout, nullptr, rowCount);
    for (uint32_t segment : layout.fixed) {
        const uint16_t *ends = s.places.data() + 64 * size_t{segment};
        for (uint32_t i = 0; i < rowCount; i++) isAlike &= ends[64 + i] - ends[i] == layout.lengths[segment];
    }
    return isAlike && allMatch(s.tier, layout, s.record, s.places.data(), rowCount);
}

void tm_json::block(
    const uint32_t *start, const int32_t *length, uint32_t firstRow, uint32_t rowCount, uint8_t *verdicts) {
    Speculation &s = speculation;
    s.bad = 0;
    Counts found[blockRows];
    uint64_t scanned = 0;
    for (uint32_t i = 0; i < rowCount; i++) {
        uint32_t row = firstRow + i;
        auto size = static_cast<uint32_t>(length[row]);
        if (verdicts[row] != TM_JSON_ROW || size == 0 || size > recordLengthMax) continue;
        const uint8_t *record = base + start[row];
        if (start[row] < readableBytes) {
            // Too near to the beginning of the arena for loads that end at a value.
            if (!s.copy) s.copy.reset(new uint8_t[recordLengthMax + 4 * readableBytes]);
            uint8_t *copy = s.copy.get() + readableBytes + start[row];
            memcpy(copy, record, size);
            record = copy;
        }
        s.record[i] = record;
        found[i] = scanRecord(s.tier, record, size, s.ends.data() + i * s.stride + 16, s.stride - 16);
        scanned |= 1ULL << i;
    }
    uint64_t all = rowCount == blockRows ? UINT64_MAX : (1ULL << rowCount) - 1;
    uint64_t read = 0, unknown = 0;
    bool isTried = scanned == all && s.wholeWait == 0;
    if (isTried && haveOneLayout(found, rowCount)) {
        s.wholeGap = 0;
        read = all;
        s.layouts[s.latest].uses += rowCount;
        readColumns(s.layouts[s.latest], firstRow, nullptr, rowCount);
    } else {
        // Layouts in turn: ever fewer blocks are tried as a whole.
        if (isTried) s.wholeWait = s.wholeGap = std::min(2 * s.wholeGap + 1, 63u);
        else if (s.wholeWait > 0) s.wholeWait--;
        uint8_t rows[Speculation::layoutCountMax][blockRows];
        uint32_t counts[Speculation::layoutCountMax] = {};
        for (uint32_t i = 0; i < rowCount; i++) {
            if (verdicts[firstRow + i] != TM_JSON_ROW) continue;
            int which = scanned >> i & 1 ? layoutOf(i, found[i], static_cast<uint32_t>(length[firstRow + i])) : -1;
            if (which < 0) {
                unknown |= 1ULL << i;
                continue;
            }
            read |= 1ULL << i;
            rows[which][counts[which]++] = static_cast<uint8_t>(i);
        }
        s.bad = unknown;
        for (uint32_t which = 0; which < s.layouts.size(); which++) {
            if (!counts[which]) continue;
            s.layouts[which].uses += counts[which];
            transpose(s.layouts[which], rows[which], counts[which]);
            readColumns(s.layouts[which], firstRow, rows[which], counts[which]);
        }
    }
    auto missed = static_cast<uint32_t>(std::popcount(s.bad));
    s.fastRows += static_cast<uint32_t>(std::popcount(read & ~s.bad));
    s.walkedRows += missed;
    s.windowRows += rowCount;
    s.windowMisses += missed;
    for (uint64_t bad = s.bad; bad; bad &= bad - 1) {
        auto i = static_cast<uint32_t>(std::countr_zero(bad));
        flush(firstRow, (1ULL << i) - 1);
        row = firstRow + i;
        auto size = static_cast<size_t>(length[row]);
        walk(base + start[row], size, verdicts + row);
        if (verdicts[row] == TM_JSON_ROW && unknown >> i & 1) tryToLearn(base + start[row], size);
    }
    flush(firstRow, UINT64_MAX);
}

/// Notes the rows without a value, of those of the block that are given and not noted yet.
void tm_json::flush(uint32_t firstRow, uint64_t rows) {
    Speculation &s = speculation;
    for (size_t c = 0; c < columns.size(); c++) {
        uint64_t noted = (s.nulls[c] | s.lacks[c]) & rows;
        if (!noted) continue;
        tm_json_column &column = out[c];
        uint64_t all = noted & ~s.bad;
        for (; all; all &= all - 1) {
            auto i = static_cast<uint32_t>(std::countr_zero(all));
            uint32_t row = firstRow + i;
            if (column.numbers) column.numbers[row] = NAN;
            if (column.times) column.times[row] = INT64_MIN;
            if (column.codes) column.codes[row] = UINT32_MAX;
            uint32_t place = column.exception_count++;
            column.exception_rows[place] = static_cast<uint16_t>(row);
            column.exception_states[place] =
                s.nulls[c] >> i & 1 ? static_cast<uint8_t>(TM_JSON_NULL) : static_cast<uint8_t>(TM_JSON_MISSING);
        }
        s.nulls[c] &= ~rows;
        s.lacks[c] &= ~rows;
    }
}

static inline bool isNull(const uint8_t *first, const uint8_t *last) {
    return last - first == 4 && memcmp(first, "null", 4) == 0;
}

/// Lays the places of the commas of some rows out by comma; `rows` without a value: all, in order.
void tm_json::transpose(const Layout &layout, const uint8_t *rows, uint32_t rowCount) {
    transposeRows(rows, rowCount, static_cast<uint32_t>(layout.lengths.size()) + 1);
}

void tm_json::transposeRows(const uint8_t *rows, uint32_t rowCount, uint32_t placeCount) {
    Speculation &s = speculation;
    const uint16_t *from[blockRows];
    uint32_t padded = (rowCount + 7) & ~7u;
    for (uint32_t j = 0; j < padded; j++) {
        uint32_t last = std::min(j, rowCount - 1);
        // From the 0 before the first comma on.
        from[j] = s.ends.data() + (rows ? rows[last] : last) * s.stride + 15;
    }
    s.places.resize((placeCount + 7) / 8 * 8 * 64);
    transposePlaces(from, placeCount, padded, s.places.data());
}

/// Reads the wanted values of rows of one layout, column by column; `all` without a value: the first
/// `rowCount` of the block.
void tm_json::readColumns(Layout &layout, uint32_t firstRow, const uint8_t *all, uint32_t rowCount) {
    Speculation &s = speculation;
    static constexpr auto ascending = [] {
        std::array<uint8_t, blockRows> places{};
        for (uint32_t i = 0; i < blockRows; i++) places[i] = static_cast<uint8_t>(i);
        return places;
    }();
    const uint8_t *rows = all ? all : ascending.data();
    const uint8_t *record[blockRows];
    alignas(64) double spare[blockRows];
    uint32_t padded = (rowCount + 7) & ~7u;
    for (uint32_t j = 0; j < padded; j++) record[j] = s.record[rows[std::min(j, rowCount - 1)]];
    bool isWhole = rows[rowCount - 1] == rowCount - 1;
    uint64_t taken = 0, assumed = 0;
    for (uint32_t j = 0; j < rowCount; j++) taken |= 1ULL << rows[j];
    for (int column : layout.missing) s.lacks[static_cast<size_t>(column)] |= taken;
    for (LayoutValue &value : layout.values) {
        Column &column = columns[static_cast<size_t>(value.column)];
        tm_json_column &to = out[value.column];
        const uint16_t *commas = s.places.data() + 64 * size_t{value.segment};
        const ValuePlaces places{record, commas, commas + 64, value.before, value.behind};
        uint64_t nulls = 0, bad = 0;
        if (!value.isText && (column.kind <= TM_JSON_INTEGER || column.kind == TM_JSON_TIME_MS)) {
            uint32_t longCount = 0;
            // Straight into the column where all 64 rows belong there.
            bool isInPlace = column.kind == TM_JSON_NUMBER && isWhole && rowCount == blockRows;
            double *numbers = isInPlace ? to.numbers + firstRow : spare;
            uint64_t live = rowCount == 64 ? UINT64_MAX : (1ULL << rowCount) - 1;
            uint64_t missed = value.isLong ? live : readPlainValues(s.tier, places, padded, numbers) & live;
            for (; missed; missed &= missed - 1) {
                auto j = static_cast<uint32_t>(std::countr_zero(missed));
                const uint8_t *first = places.first(j), *last = places.last(j), *end;
                if (!value.isQuoted && isNull(first, last)) {
                    numbers[j] = 0;
                    nulls |= 1ULL << rows[j];
                } else if (column.kind == TM_JSON_TIME_MS) {
                    // Never rounded to a double: the walk reads it exactly.
                    numbers[j] = 0;
                    bad |= 1ULL << rows[j];
                } else if (readLong(s.tier, first, last, numbers + j)) {
                    longCount++;
                } else if (readNumber(first, last, numbers + j, &end) != TM_JSON_VALUE || end != last) {
                    numbers[j] = 0;
                    bad |= 1ULL << rows[j];
                }
            }
            value.isLong = 2 * longCount > rowCount;
            if (column.kind == TM_JSON_NUMBER && isWhole) {
                if (!isInPlace) memcpy(to.numbers + firstRow, numbers, rowCount * sizeof(double));
            } else if (column.kind == TM_JSON_NUMBER) {
                for (uint32_t j = 0; j < rowCount; j++) to.numbers[firstRow + rows[j]] = numbers[j];
            } else if (column.kind == TM_JSON_INTEGER) {
                for (uint32_t j = 0; j < rowCount; j++) {
                    to.numbers[firstRow + rows[j]] = numbers[j];
                    if (numbers[j] != std::floor(numbers[j]) || std::fabs(numbers[j]) >= 9223372036854775808.0)
                        bad |= 1ULL << rows[j];
                }
            } else {
                for (uint32_t j = 0; j < rowCount; j++) {
                    // Up to 2^53 the number is the text, and in 16 letters no fraction is rounded away;
                    // beyond that the careful way.
                    if (numbers[j] == std::floor(numbers[j]) && std::fabs(numbers[j]) <= 9007199254740992.0
                        && places.last(j) - places.first(j) <= 16)
                        to.times[firstRow + rows[j]] = static_cast<int64_t>(numbers[j]);
                    else bad |= 1ULL << rows[j];
                }
            }
            for (double null : column.nullNumbers)
                for (uint32_t j = 0; column.kind <= TM_JSON_INTEGER && j < rowCount; j++)
                    if (numbers[j] == null && !(bad >> rows[j] & 1)) nulls |= 1ULL << rows[j];
        } else if (!value.isText) {
            for (uint32_t j = 0; j < rowCount; j++) {
                const uint8_t *first = places.first(j), *last = places.last(j);
                auto length = static_cast<size_t>(last - first);
                if (!value.isQuoted && isNull(first, last)) nulls |= 1ULL << rows[j];
                else if (!readTimeNumber(column.kind, first, length, to.times + firstRow + rows[j]))
                    bad |= 1ULL << rows[j];
            }
        } else {
            bool isCategory = column.kind == TM_JSON_CATEGORY || column.kind == TM_JSON_TEXT;
            // Times have none.
            Dictionary *texts = to.dictionary ? &to.dictionary->texts : nullptr;
            bool hasNulls = !column.nullTexts.empty();
            // All at once, if all are texts: the table of a large dictionary is far away.
            uint32_t done = 0;
            if (isCategory && !hasNulls) {
                Dictionary::Prepared prepared[blockRows];
                const uint8_t *text[blockRows];
                uint32_t size[blockRows];
                bool areTexts = true;
                for (uint32_t j = 0; j < rowCount; j++) {
                    const uint8_t *first = places.first(j), *last = places.last(j);
                    areTexts &= (last - first >= 2) & (*first == '"') & (last[-1] == '"');
                    text[j] = first + 1;
                    size[j] = static_cast<uint32_t>(last - first - 2);
                }
                if (areTexts) {
                    for (uint32_t j = 0; j < rowCount; j++) prepared[j] = texts->prepare(text[j], size[j]);
                    for (uint32_t j = 0; j < rowCount; j++)
                        to.codes[firstRow + rows[j]] = texts->intern(prepared[j], text[j], size[j]);
                    done = rowCount;
                }
            }
            for (uint32_t j = done; j < rowCount; j++) {
                uint32_t row = firstRow + rows[j];
                const uint8_t *first = places.first(j), *last = places.last(j);
                ptrdiff_t length = last - first - 2;
                if (length >= 0 && *first == '"' && last[-1] == '"') {
                    auto size = static_cast<size_t>(length);
                    if (isCategory) {
                        if (hasNulls && isNullText(column, first + 1, size)) nulls |= 1ULL << rows[j];
                        else to.codes[row] = texts->intern(first + 1, size);
                    } else {
                        bool isNaive = false;
                        if (column.kind != TM_JSON_TIME_TEXT || hasNulls
                            || !tidemark::readTimeText(column.zone, first + 1, size, to.times + row, &isNaive))
                            bad |= 1ULL << rows[j];
                        if (isNaive && !column.zone.isDeclared) assumed |= 1ULL << rows[j];
                    }
                    continue;
                }
                if (value.countsQuotes) s.quotes[rows[j]] += 2;
                auto size = static_cast<size_t>(last - first);
                if (isNull(first, last)) {
                    nulls |= 1ULL << rows[j];
                } else if (
                    (column.kind == TM_JSON_CATEGORY || column.kind == TM_JSON_BOOLEAN)
                    && (same(first, size, "true") || same(first, size, "false"))) {
                    if (hasNulls && isNullText(column, first, size)) nulls |= 1ULL << rows[j];
                    else to.codes[row] = texts->intern(first, size);
                } else if (column.kind == TM_JSON_CATEGORY) {
                    // An integer is its text.
                    double number;
                    const uint8_t *end;
                    bool isInteger = readNumber(first, last, &number, &end) >= 0 && end == last;
                    for (const uint8_t *p = first; p < last; p++)
                        isInteger &= *p == '-' || static_cast<uint8_t>(*p - '0') < 10;
                    // -0 is 0, and other numbers are written anew: the walk does both.
                    if (!isInteger || (number == 0 && size > 1)) bad |= 1ULL << rows[j];
                    else if (hasNulls && isNullText(column, first, size)) nulls |= 1ULL << rows[j];
                    else to.codes[row] = texts->intern(first, size);
                } else {
                    bad |= 1ULL << rows[j];
                }
            }
        }
        s.nulls[static_cast<size_t>(value.column)] |= nulls;
        s.bad |= bad;
    }
    for (uint32_t j = 0; j < rowCount; j++) {
        int32_t surplus = s.quotes[rows[j]];
        if (surplus == 0) continue;
        // Unread values that were no texts may be.
        const uint16_t *ends = s.ends.data() + rows[j] * s.stride + 16;
        for (const LayoutSkip &other : layout.others) {
            const uint8_t *begin = s.record[rows[j]] + ends[static_cast<ptrdiff_t>(other.segment) - 1] + other.before;
            const uint8_t *end = s.record[rows[j]] + ends[other.segment] - other.behind;
            if (end - begin >= 2 && *begin == '"' && end[-1] == '"') surplus -= 2;
        }
        if (surplus) s.bad |= 1ULL << rows[j];
    }
    if (assumed) assumedUTC += static_cast<uint64_t>(std::popcount(assumed & ~s.bad));
}

// MARK: A batch

void tm_json::decode(const uint32_t *start, const int32_t *length, uint32_t rowCount, uint8_t *verdicts) {
    Speculation &s = speculation;
    if (s.nulls.size() != columns.size()) {
        s.nulls.assign(columns.size(), 0);
        s.lacks.assign(columns.size(), 0);
    }
    for (uint32_t at = 0; at < rowCount;) {
        uint32_t count = std::min(blockRows, rowCount - at);
        if (isCSV && s.isOn && csv.separator == ',') {
            csvBlock(start, length, at, count, verdicts);
            at += count;
            continue;
        }
        if (s.isOn && s.pause == 0 && !s.layouts.empty()) {
            block(start, length, at, count, verdicts);
            if (s.windowRows >= 1024) {
                // A row that misses costs a tenth more than one that is not tried; one that hits saves
                // two thirds.
                if (8 * s.windowMisses > 7 * s.windowRows) {
                    s.pause = s.nextPause;
                    s.nextPause = std::min(2 * s.nextPause, 1u << 18);
                } else {
                    s.nextPause = 4096;
                    if (16 * s.windowMisses < s.windowRows) s.learnGap = s.learnWait = 0;
                }
                s.windowRows = s.windowMisses = 0;
                for (Layout &layout : s.layouts) layout.uses /= 2;
            }
            at += count;
            continue;
        }
        // Without a layout: one row at a time until there is one.
        uint32_t stop = s.pause || isCSV ? at + count : at + 1;
        for (; at < stop; at++) {
            if (verdicts[at] != TM_JSON_ROW) continue;
            row = at;
            walk(base + start[at], static_cast<size_t>(length[at]), verdicts + at);
            s.walkedRows++;
            if (s.isOn && !isCSV && s.layouts.empty() && verdicts[at] == TM_JSON_ROW)
                tryToLearn(base + start[at], static_cast<size_t>(length[at]));
        }
        s.pause -= std::min(s.pause, count);
    }
}
