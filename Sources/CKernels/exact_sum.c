// Sums of doubles that are exact, and so the same in any order: the digits of all exponents lie side by side.
//
// Source: Neal, Fast exact summation using small and large superaccumulators, 2015.
#include <math.h>
#include <string.h>

#include "internal.h"

/// Digits have 32 bits and room for 2^20 of them; a value adds at most 2^52 to a digit.
enum { DIGITS = TK_SUM_DIGITS, PENDING = TK_SUM_DIGITS, PENDING_MAX = 1 << 10 };

/// Carries: all digits but the last are in 0..<2^32 then, and equal sums have equal digits.
void tk_sum_settle(int64_t *sum) {
    for (int i = 0; i < DIGITS - 1; i++) {
        int64_t carry = sum[i] >> 32;
        sum[i] -= carry * ((int64_t)1 << 32);
        sum[i + 1] += carry;
    }
    sum[PENDING] = 0;
}

static inline void add(int64_t *sum, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint64_t exponent = bits >> 52 & 0x7ff;
    uint64_t mantissa = bits & (((uint64_t)1 << 52) - 1);
    mantissa |= (uint64_t)(exponent != 0) << 52;
    exponent += exponent == 0;
    int64_t sign = (int64_t)bits >> 63;
    int64_t low = (int64_t)((mantissa << (exponent & 31)) & 0xffffffff);
    int64_t high = (int64_t)(mantissa >> (32 - (exponent & 31)));
    int64_t *digit = sum + (exponent >> 5);
    digit[0] += (low ^ sign) - sign;
    digit[1] += (high ^ sign) - sign;
}

void tk_sum_add(int64_t *sum, const double *values, size_t count) {
    while (count > 0) {
        size_t room = (size_t)(PENDING_MAX - sum[PENDING]), some = count < room ? count : room;
        for (size_t i = 0; i < some; i++) add(sum, values[i]);
        sum[PENDING] += (int64_t)some;
        if (sum[PENDING] >= PENDING_MAX) tk_sum_settle(sum);
        values += some;
        count -= some;
    }
}

size_t tk_sum_add_squares(int64_t *sum, const double *values, size_t count) {
    size_t left_out = 0;
    for (size_t i = 0; i < count; i++) {
        double square = values[i] * values[i];
        if (__builtin_expect(!(square <= 1.7976931348623157e308), 0)) {
            left_out++;
            continue;
        }
        if (sum[PENDING] + 2 > PENDING_MAX) tk_sum_settle(sum);
        add(sum, square);
        add(sum, fma(values[i], values[i], -square));
        sum[PENDING] += 2;
    }
    return left_out;
}

void tk_sum_merge(int64_t *sum, const int64_t *other) {
    int64_t settled[DIGITS + 1];
    memcpy(settled, other, sizeof settled);
    tk_sum_settle(settled);
    tk_sum_settle(sum);
    for (int i = 0; i < DIGITS; i++) sum[i] += settled[i];
    tk_sum_settle(sum);
}

/// The nearest double of a settled sum.
static double nearest(const int64_t *sum) {
    int64_t digits[DIGITS + 1];
    memcpy(digits, sum, sizeof digits);
    int is_negative = digits[DIGITS - 1] < 0;
    if (is_negative) {
        for (int i = 0; i < DIGITS; i++) digits[i] = -digits[i];
        tk_sum_settle(digits);
    }
    int top = DIGITS - 1;
    while (top > 0 && digits[top] == 0) top--;
    int last = top > 3 ? top - 3 : 0;
    unsigned __int128 head = 0;
    for (int i = top; i >= last; i--) head = head << 32 | (uint32_t)digits[i];
    // What lies below decides a tie alone.
    for (int i = 0; i < last; i++) head |= digits[i] != 0;
    double value = ldexp((double)head, 32 * last - 1075);
    return is_negative ? -value : value;
}

double tk_sum_value(const int64_t *sum, double *rest) {
    int64_t settled[DIGITS + 1];
    memcpy(settled, sum, sizeof settled);
    tk_sum_settle(settled);
    double value = nearest(settled);
    *rest = 0;
    if (isfinite(value)) {
        double negated = -value;
        tk_sum_add(settled, &negated, 1);
        tk_sum_settle(settled);
        *rest = nearest(settled);
    }
    return value;
}

/// The digits of a settled sum, as if it were not negative, each of 32 bits.
static void amount(const int64_t *sum, uint32_t *out) {
    int64_t digits[DIGITS + 1];
    memcpy(digits, sum, sizeof digits);
    tk_sum_settle(digits);
    if (digits[DIGITS - 1] < 0) {
        for (int i = 0; i < DIGITS; i++) digits[i] = -digits[i];
        tk_sum_settle(digits);
    }
    for (int i = 0; i < DIGITS; i++) out[i] = (uint32_t)digits[i];
    out[DIGITS] = (uint32_t)(digits[DIGITS - 1] >> 32);
}

enum { AMOUNT = DIGITS + 1, WIDE = 2 * AMOUNT + 2 };

/// Adds a product of two digits at a place.
static inline void add_product(uint32_t *wide, int place, uint64_t product) {
    for (; product != 0; place++) {
        product += wide[place];
        wide[place] = (uint32_t)product;
        product >>= 32;
    }
}

double tk_sum_sd(const int64_t *sum, const int64_t *squares, uint64_t count) {
    uint32_t s[AMOUNT], q[AMOUNT], whole[WIDE] = {0}, part[WIDE] = {0};
    amount(sum, s);
    amount(squares, q);
    // n · Σx² − (Σx)², in units of 2^-2150: that of a digit is 2^-1075.
    for (int i = 0; i < AMOUNT; i++) {
        if (q[i] == 0) continue;
        // 1075 is 33 digits and 19 bits.
        unsigned __int128 product = (unsigned __int128)q[i] * count << 19;
        add_product(whole, i + 33, (uint32_t)product);
        add_product(whole, i + 34, (uint32_t)(product >> 32));
        add_product(whole, i + 35, (uint32_t)(product >> 64));
        add_product(whole, i + 36, (uint32_t)(product >> 96));
    }
    for (int i = 0; i < AMOUNT; i++) {
        if (s[i] == 0) continue;
        for (int j = 0; j < AMOUNT; j++) add_product(part, i + j, (uint64_t)s[i] * s[j]);
    }
    int64_t borrow = 0;
    for (int i = 0; i < WIDE; i++) {
        int64_t next = (int64_t)whole[i] - part[i] + borrow;
        whole[i] = (uint32_t)next;
        borrow = next >> 32;
    }
    // Squares that are too small for a double are rounded.
    if (borrow < 0) return 0;
    int top = WIDE - 1;
    while (top > 0 && whole[top] == 0) top--;
    int last = top > 3 ? top - 3 : 0;
    unsigned __int128 head = 0;
    for (int i = top; i >= last; i--) head = head << 32 | whole[i];
    double n = (double)count;
    return ldexp(sqrt((double)head / (n * (n - 1))), (32 * last - 2150) / 2);
}
