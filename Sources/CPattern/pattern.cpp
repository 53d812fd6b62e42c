#include "CPattern.h"

#include <cstring>
#include <re2/re2.h>
#include <string>

struct tm_pattern {
    re2::RE2 expression;
    tm_pattern(const re2::StringPiece &text, const re2::RE2::Options &options)
        : expression(text, options) {}
};

tm_pattern *tm_pattern_new(
    const uint8_t *text, size_t length, int64_t memory, char *problem, size_t problemCapacity,
    size_t *at) {
    re2::RE2::Options options(re2::RE2::Quiet);
    options.set_max_mem(memory);
    // Nothing is captured: what matters is whether it occurs.
    options.set_never_capture(true);
    re2::StringPiece piece(reinterpret_cast<const char *>(text), length);
    auto *pattern = new tm_pattern(piece, options);
    if (pattern->expression.ok()) return pattern;
    const std::string &part = pattern->expression.error_arg();
    std::string whole(piece.data(), piece.size());
    size_t found = part.empty() ? std::string::npos : whole.find(part);
    *at = found == std::string::npos ? length : found;
    const std::string &error = pattern->expression.error();
    size_t count = error.size() < problemCapacity - 1 ? error.size() : problemCapacity - 1;
    memcpy(problem, error.data(), count);
    problem[count] = '\0';
    delete pattern;
    return nullptr;
}

void tm_pattern_free(tm_pattern *pattern) { delete pattern; }

bool tm_pattern_matches(const tm_pattern *pattern, const uint8_t *text, size_t length) {
    re2::StringPiece piece(reinterpret_cast<const char *>(text), length);
    return pattern->expression.Match(piece, 0, length, re2::RE2::UNANCHORED, nullptr, 0);
}
