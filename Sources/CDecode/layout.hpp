// Reading records by their layout.
//
// Producers write the same keys in the same order with the same punctuation. A layout is what is
// equal in all such records: the bytes around the values. Of a record of a known layout the places
// of the values follow from its commas alone, one wide compare a value proves that the bytes around
// them are those of the layout, and the values are read column by column over a block of rows.
//
// The reader accepts a row only where the walk (decode.cpp) would accept it with the same values;
// every other row goes to the walk:
//
// - A layout is taken from a record that the walk accepted, without backslash.
// - All bytes outside the values are compared with the layout's.
// - A wanted value is read as strictly as the walk reads it.
// - No value holds a quote but at its ends, a backslash, a control character, or, outside quotes, a
//   bracket, colon, comma or space: these are counted by record, and there are as many as the
//   layout has around the values. (A text has two quotes at least, so if the sum over all values is
//   two a text, no text has more.) So an unread value is one token of the structural index.
// - Bytes above 0x7f are validated as UTF-8.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace tidemark {

/// Which instructions the reader uses; results are the same. The numbers are those of CKernels.
enum class Tier { scalar = 0, avx2 = 1, avx512 = 2 };

/// 64 bytes and more are readable on both sides of what a block reads: texts and numbers are loaded
/// 16 and 32 bytes at a time, from either end.
inline constexpr size_t readableBytes = 64;
inline constexpr uint32_t blockRows = 64;
/// Longer records go to the walk: places are 16 bits.
inline constexpr size_t recordLengthMax = 60000;
inline constexpr uint32_t segmentCountMax = 2048;

/// The number of times that something occurs in a record.
struct Counts {
    /// Commas outside strings, plus one.
    uint32_t segments = 0;
    uint32_t quotes = 0;
    /// Brackets, colons, commas and spaces outside strings.
    uint32_t marks = 0;
    /// Bytes below 0x20, anywhere.
    uint32_t controls = 0;
    /// Bytes from 0x80 up, anywhere.
    uint32_t wides = 0;
    /// There is a backslash, or there are more segments than there is room.
    bool isDoubtful = false;
};

/// Bytes that all records of a layout have, at most 32 at a time.
struct Literal {
    uint8_t bytes[32];
    /// 0xff for each byte that counts.
    uint8_t mask[32];
    /// The same, but for the quotes of unread texts.
    uint8_t looseMask[32];
    /// It stands at `offset` from the comma before this segment (from the start of the record for
    /// segment 0).
    uint32_t segment;
    int32_t offset;
};

/// Where a wanted value stands in its segment.
struct LayoutValue {
    int column;
    uint32_t segment;
    /// Bytes between the comma before (or the start of the record) and the value, the comma
    /// included.
    uint32_t before;
    /// Bytes between the value and the comma behind.
    uint32_t behind;
    /// The column takes what may be quoted.
    bool isText;
    /// Of the values of this segment it is the one that accounts for the quotes.
    bool countsQuotes;
    /// It stands in quotes, which are the layout's: a number or a time as a text.
    bool isQuoted = false;
    /// Most numbers lately had more than 16 bytes or 2^53: the short way is not tried.
    bool isLong = false;
};

/// An unread value, for rows where it is a text and was none, or the other way round.
struct LayoutSkip {
    uint32_t segment, before, behind;
};

/// What is equal in all records of one form.
struct Layout {
    Counts counts;
    std::vector<Literal> literals;
    std::vector<LayoutValue> values;
    /// Unread values that were texts (their quotes count as literal), and that were none.
    std::vector<LayoutSkip> texts, others;
    /// By segment: the least distance between its commas.
    std::vector<uint16_t> lengths;
    /// Segments without a value (an empty array): `lengths` is all they have.
    std::vector<uint32_t> fixed;
    /// Wanted columns that these records do not have.
    std::vector<int> missing;
    /// Rows read by it, halved now and then.
    uint32_t uses = 0;
};

/// The layouts of a decoder and the rows of the block at hand.
struct Speculation {
    static constexpr size_t layoutCountMax = 8;

    Tier tier = Tier::scalar;
    bool isOn = true;
    std::vector<Layout> layouts;
    /// The one that the last row had.
    uint32_t latest = 0;
    uint64_t fastRows = 0, walkedRows = 0;

    // When to stop trying and when to learn, in rows.
    uint32_t windowRows = 0, windowMisses = 0;
    uint32_t pause = 0, nextPause = 4096;
    uint32_t learnGap = 0, learnWait = 0;
    // When to try a block as a whole again, in blocks.
    uint32_t wholeGap = 0, wholeWait = 0;

    // The block: by row, places of commas (`ends[row * stride]` is the first one's; the place before
    // it is 0) and the end of the record.
    uint32_t stride = 0;
    std::vector<uint16_t> ends;
    const uint8_t *record[blockRows];
    /// Quotes that no text has accounted for.
    int32_t quotes[blockRows];
    /// Bits of rows that go to the walk.
    uint64_t bad = 0;
    /// Bits of rows whose time has no offset, where no zone was given.
    uint64_t assumed = 0;
    /// By column: bits of rows that are null, and that lack the column.
    std::vector<uint64_t> nulls, lacks;
    /// The places of the rows of one layout, by column.
    std::vector<uint16_t> places;
    /// The first bytes of an arena, with room before them.
    std::unique_ptr<uint8_t[]> copy;
};

/// Finds the commas of a record and counts what `Counts` counts. `ends[-1]` is left alone; after the
/// last comma comes the length. Room for `room` places; 64 bytes behind the record are readable.
Counts scanRecord(Tier tier, const uint8_t *record, uint32_t length, uint16_t *ends, uint32_t room);

/// Whether the bytes around the values are the layout's. `loose` leaves the quotes of unread texts
/// out.
bool matchesLiterals(
    Tier tier, const Layout &layout, const uint8_t *record, const uint16_t *ends, bool loose);

/// The same of all rows of a block, and that no distance between commas is too short; `places` as
/// `transposePlaces` lays them out.
bool allMatch(
    Tier tier, const Layout &layout, const uint8_t *const *record, const uint16_t *places, uint32_t rowCount);

/// Where one value of some rows begins and ends. There is room for full eights of rows.
struct ValuePlaces {
    /// The rows' records.
    const uint8_t *const *record;
    /// By row: the comma before the value and the one behind.
    const uint16_t *commaBefore, *commaBehind;
    uint32_t before, behind;

    const uint8_t *first(uint32_t row) const { return record[row] + commaBefore[row] + before; }
    const uint8_t *last(uint32_t row) const { return record[row] + commaBehind[row] - behind; }
};

/// Turns rows of places (`from[row]`) into columns: `to[64 * k + row]` is place k of a row. `count`
/// and `rowCount` are rounded up to full eights.
void transposePlaces(const uint16_t *const *from, uint32_t count, uint32_t rowCount, uint16_t *to);

/// Reads decimals of at most 16 bytes, in eights of rows.
///
/// - Returns: the bits of rows whose value is none, or not at most 2^53 without its dot.
uint64_t readPlainValues(Tier tier, const ValuePlaces &places, uint32_t rowCount, double *values);

/// The best tier that the processor has, not above `wanted`.
Tier availableTier(int wanted);

/// A plain decimal of at most 32 bytes and 19 digits, correctly rounded; false leaves it to
/// `readNumber`. 64 bytes must be readable before `last`.
bool readLong(Tier tier, const uint8_t *first, const uint8_t *last, double *value);

} // namespace tidemark
