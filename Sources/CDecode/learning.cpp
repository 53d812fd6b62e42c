// How the layout of records is learned from one that the walk accepted.

#include "decoder.hpp"

using namespace tidemark;

namespace {

/// Takes a record apart into segments (what lies between two commas outside strings). It is stricter
/// than it must be: what it does not understand is no layout.
struct Learner {
    struct Segment {
        size_t begin, end = 0;
        size_t first = 0, last = 0;
        bool hasValue = false, isText = false;
        int32_t place = -1;
    };

    const tm_json &decoder;
    const uint8_t *bytes;
    size_t length;
    size_t at = 0;
    std::vector<Segment> segments{{}};
    std::vector<const Place *> seen;

    Learner(const tm_json &decoder, const uint8_t *bytes, size_t length)
        : decoder(decoder), bytes(bytes), length(length) {}

    static bool isSpace(uint8_t c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
    void space() { while (at < length && isSpace(bytes[at])) at++; }
    bool take(uint8_t c) {
        if (at >= length || bytes[at] != c) return false;
        at++;
        return true;
    }
    void comma() {
        segments.back().end = at - 1;
        segments.emplace_back();
        segments.back().begin = at - 1;
    }
    bool string(size_t *first, size_t *last) {
        *first = at;
        if (!take('"')) return false;
        while (at < length && bytes[at] != '"' && bytes[at] != '\\' && bytes[at] >= 0x20) at++;
        if (!take('"')) return false;
        *last = at;
        return true;
    }
    bool record() {
        space();
        if (at >= length || bytes[at] != '{' || !value(0, 0)) return false;
        space();
        segments.back().end = length;
        return at == length;
    }
    bool value(int32_t place, int depth) {
        if (depth > 64 || segments.size() > segmentCountMax) return false;
        space();
        if (at >= length) return false;
        const Place *wanted = place >= 0 ? &decoder.places[static_cast<size_t>(place)] : nullptr;
        if (bytes[at] == '{') {
            // A column that wants a scalar or an element here has a wrong type: the walk says so.
            if (wanted && (!wanted->columns.empty() || !wanted->elements.empty())) return false;
            return object(wanted, depth);
        }
        if (bytes[at] == '[') {
            if (wanted && (!wanted->columns.empty() || !wanted->keys.empty())) return false;
            return array(wanted, depth);
        }
        if (wanted && wanted->columns.size() != wanted->all.size()) return false;
        Segment &segment = segments.back();
        if (segment.hasValue) return false;
        segment.hasValue = true;
        segment.place = place;
        segment.isText = bytes[at] == '"';
        if (segment.isText) return string(&segment.first, &segment.last);
        segment.first = at;
        while (at < length && bytes[at] != ',' && bytes[at] != '}' && bytes[at] != ']' && !isSpace(bytes[at])) {
            uint8_t c = bytes[at++];
            if (c < 0x20 || c >= 0x80 || c == '"' || c == '{' || c == '[' || c == ':') return false;
        }
        segment.last = at;
        return segment.last > segment.first;
    }
    /// A wanted object or array that comes twice: the walk knows which one counts.
    bool isFirst(const Place *wanted) {
        if (!wanted) return true;
        for (const Place *known : seen)
            if (known == wanted) return false;
        seen.push_back(wanted);
        return true;
    }
    bool object(const Place *wanted, int depth) {
        if (!isFirst(wanted)) return false;
        at++;
        space();
        if (take('}')) return true;
        for (;;) {
            space();
            size_t first, last;
            if (!string(&first, &last)) return false;
            int below = wanted ? decoder.child(*wanted, bytes + first + 1, last - first - 2) : -1;
            space();
            if (!take(':') || !value(below, depth + 1)) return false;
            space();
            if (take('}')) return true;
            if (!take(',')) return false;
            comma();
        }
    }
    bool array(const Place *wanted, int depth) {
        if (!isFirst(wanted)) return false;
        at++;
        space();
        if (take(']')) return true;
        for (uint32_t element = 0;; element++) {
            int below = -1;
            if (wanted)
                for (const auto &[index, place] : wanted->elements)
                    if (index == element) below = static_cast<int>(place);
            if (!value(below, depth + 1)) return false;
            space();
            if (take(']')) return true;
            if (!take(',')) return false;
            comma();
        }
    }
};

} // namespace

/// Whether all columns of a place read numbers or times in quotes, and nothing that a text may mean besides.
bool tm_json::takesQuotedNumbers(int32_t place) const {
    for (int number : places[static_cast<size_t>(place)].columns) {
        const Column &column = columns[static_cast<size_t>(number)];
        bool isTime = column.kind >= TM_JSON_TIME_S && column.kind < TM_JSON_TIME_TEXT;
        bool isNumber = column.kind <= TM_JSON_INTEGER && column.acceptText;
        if (!(isTime && column.nullTexts.empty()) && !isNumber) return false;
    }
    return true;
}

/// Takes the layout of a record that the walk accepted.
bool tm_json::learn(const uint8_t *payload, size_t length) {
    if (length > recordLengthMax) return false;
    Learner learner(*this, payload, length);
    if (!learner.record()) return false;
    const auto &segments = learner.segments;
    if (segments.size() > segmentCountMax) return false;

    Speculation &s = speculation;
    std::vector<uint16_t> ends(segments.size() + 80);
    Layout layout;
    layout.counts = scanRecord(
        Tier::scalar, payload, static_cast<uint32_t>(length), ends.data(), static_cast<uint32_t>(ends.size()));
    if (layout.counts.isDoubtful || layout.counts.segments != segments.size()) return false;
    for (size_t i = 0; i < segments.size(); i++)
        if (ends[i] != segments[i].end) return false;

    layout.counts.quotes = layout.counts.wides = 0;
    std::vector<uint8_t> isRead(columns.size(), 0);
    // What stands between two values, and behind the last one.
    std::string bytes;
    std::vector<bool> isLoose;
    int32_t offset = 0;
    auto add = [&](size_t from, size_t to, bool loose) {
        for (size_t i = from; i < to; i++) {
            bytes.push_back(static_cast<char>(payload[i]));
            isLoose.push_back(loose);
            layout.counts.quotes += payload[i] == '"';
            layout.counts.wides += payload[i] >= 0x80;
        }
    };
    auto close = [&](uint32_t segment) {
        for (size_t from = 0; from < bytes.size(); from += 32) {
            Literal literal{};
            literal.segment = segment;
            literal.offset = offset + static_cast<int32_t>(from);
            for (size_t i = from; i < std::min(bytes.size(), from + 32); i++) {
                literal.bytes[i - from] = static_cast<uint8_t>(bytes[i]);
                literal.mask[i - from] = 0xff;
                literal.looseMask[i - from] = isLoose[i] ? 0 : 0xff;
            }
            layout.literals.push_back(literal);
        }
        bytes.clear();
        isLoose.clear();
    };
    for (uint32_t i = 0; i < segments.size(); i++) {
        const auto &segment = segments[i];
        auto place = static_cast<uint16_t>(segment.end - segment.begin);
        if (!segment.hasValue) {
            add(segment.begin, segment.end, false);
            close(i);
            offset = 0;
            layout.lengths.push_back(place);
            layout.fixed.push_back(i);
            continue;
        }
        bool isUnread = segment.place < 0;
        bool isTight = isUnread && segment.isText;
        bool isQuoted = !isUnread && segment.isText && takesQuotedNumbers(segment.place);
        size_t first = segment.first + isQuoted, last = segment.last - isQuoted;
        auto before = static_cast<uint32_t>(first - segment.begin);
        auto behind = static_cast<uint32_t>(segment.end - last);
        add(segment.begin, first, false);
        if (isTight) add(first, first + 1, true);
        close(i);
        if (isTight) add(last - 1, last, true);
        add(last, segment.end, false);
        offset = -static_cast<int32_t>(bytes.size());
        layout.lengths.push_back(static_cast<uint16_t>(before + behind + (isTight ? 2 : 1)));
        if (isUnread) {
            (isTight ? layout.texts : layout.others).push_back({i, before, behind});
            continue;
        }
        bool isCounted = false;
        for (int column : places[static_cast<size_t>(segment.place)].columns) {
            // A layout without quotes around a time would be tried for rows that have them, again and again.
            bool isTimeNumber = columns[static_cast<size_t>(column)].kind >= TM_JSON_TIME_S
                && columns[static_cast<size_t>(column)].kind < TM_JSON_TIME_TEXT;
            if (isTimeNumber && !segment.isText && payload[segment.first] == 'n') return false;
            // Twice in a record: the walk knows which one wins.
            if (isRead[static_cast<size_t>(column)]++) return false;
            int kind = columns[static_cast<size_t>(column)].kind;
            bool isText = kind == TM_JSON_CATEGORY || kind == TM_JSON_TEXT || kind == TM_JSON_BOOLEAN
                || kind == TM_JSON_TIME_TEXT;
            layout.values.push_back({column, i, before, behind, isText, isText && !isCounted, isQuoted});
            if (isText && !isCounted) layout.counts.quotes += 2;
            isCounted |= isText;
        }
    }
    close(static_cast<uint32_t>(segments.size()));
    for (size_t c = 0; c < columns.size(); c++)
        if (!isRead[c]) layout.missing.push_back(static_cast<int>(c));

    size_t at = s.layouts.size();
    if (at < Speculation::layoutCountMax) {
        s.layouts.emplace_back();
    } else {
        at = 0;
        for (size_t i = 1; i < s.layouts.size(); i++)
            if (s.layouts[i].uses < s.layouts[at].uses) at = i;
    }
    layout.uses = 1;
    s.layouts[at] = std::move(layout);
    s.latest = static_cast<uint32_t>(at);
    size_t most = 0;
    for (const Layout &one : s.layouts) most = std::max(most, one.lengths.size());
    // One place before the first, and room for a whole store behind the last.
    s.stride = static_cast<uint32_t>((most + 80) / 16 * 16);
    if (s.ends.size() != size_t{s.stride} * blockRows + 32) s.ends.assign(size_t{s.stride} * blockRows + 32, 0);
    return true;
}

/// Learns from one of ever fewer rows, until layouts hold again.
void tm_json::tryToLearn(const uint8_t *payload, size_t length) {
    Speculation &s = speculation;
    if (s.learnWait > 0) {
        s.learnWait--;
        return;
    }
    learn(payload, length);
    s.learnGap = std::min(2 * s.learnGap + 1, 1023u);
    s.learnWait = s.learnGap;
}
