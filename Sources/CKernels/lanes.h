// Loops whose lanes are independent, or whose order of sums is written out: every tier compiles the
// same text, so results are equal bit for bit. Included once a tier, after network.h in the vector
// tiers, with TK_NET(name), TK_TARGET and TK_LOOP defined.

/// MurmurHash3_x64_128 of eight bytes under seed 9001, folded to HyperLogLog's coupon.
TK_TARGET void TK_NET(tk_coupons)(const int64_t *values, size_t count, uint32_t *coupons) {
    TK_LOOP for (size_t i = 0; i < count; i++) {
        uint64_t k = (uint64_t)values[i] * 0x87c37b91114253d5u;
        k = (k << 31 | k >> 33) * 0x4cf5ad432745937fu;
        uint64_t b = 9001u ^ 8u;
        uint64_t a = (9001u ^ k ^ 8u) + b;
        b += a;
        a = (a ^ a >> 33) * 0xff51afd7ed558ccdu;
        a = (a ^ a >> 33) * 0xc4ceb9fe1a85ec53u;
        a ^= a >> 33;
        b = (b ^ b >> 33) * 0xff51afd7ed558ccdu;
        b = (b ^ b >> 33) * 0xc4ceb9fe1a85ec53u;
        b ^= b >> 33;
        a += b;
        b += a;
        // The run is cut at 62 and counted from 1: bit 1 set ends it.
        uint64_t run = (uint64_t)__builtin_clzll(b | 2) + 1;
        coupons[i] = (uint32_t)(run << 26 | (a & 0x3ffffff));
    }
}

/// ceil(m · approximate log2 |x|), the logarithm by a cubic in each octave. Only for normal numbers.
TK_TARGET void TK_NET(tk_cubic_codes)(
    const double *values, size_t count, double multiplier, int32_t *codes) {
    TK_LOOP for (size_t i = 0; i < count; i++) {
        uint64_t bits = tk_bits(values[i]) & 0x7fffffffffffffffu;
        // The exponent as a double: its bits below those of 2^52.
        double e = tk_double(bits >> 52 | 0x4330000000000000u) - (4503599627370496.0 + 1023.0);
        double s = tk_double((bits & 0xfffffffffffffu) | 0x3ff0000000000000u) - 1.0;
        double log = ((6.0 / 35.0 * s - 0.6) * s + 10.0 / 7.0) * s + e;
        codes[i] = (int32_t)ceil(log * multiplier);
    }
}

/// The exponent and the `bits` highest bits of the significand of |x|, from 0 at 1.0.
TK_TARGET void TK_NET(tk_log_linear_codes)(
    const double *values, size_t count, int bits, int32_t *codes) {
    const int shift = 52 - bits;
    const int32_t one = 1023 << bits;
    TK_LOOP for (size_t i = 0; i < count; i++)
        codes[i] = (int32_t)((tk_bits(values[i]) & 0x7fffffffffffffffu) >> shift) - one;
}

/// How many edges are <= x by comparing with all of them: no branch, for up to about 64.
TK_TARGET void TK_NET(tk_few_edges)(
    const double *values, size_t count, const double *edges, size_t edge_count, uint16_t *out) {
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        int64_t below[16] = {0};
        for (size_t e = 0; e < edge_count; e++) {
            double edge = edges[e];
            TK_LANES for (int j = 0; j < 16; j++) below[j] += edge <= values[i + j];
        }
        TK_LANES for (int j = 0; j < 16; j++)
            out[i + j] = fabs(values[i + j]) < INFINITY ? (uint16_t)below[j] : 0xffff;
    }
    for (; i < count; i++)
        out[i] = fabs(values[i]) < INFINITY ? (uint16_t)tk_code(edges, edge_count, values[i])
                                            : 0xffff;
}

#ifndef TK_OWN_SPLIT
/// Magnitudes of values >= least to one list, of those <= -least to another, in order.
TK_TARGET void TK_NET(tk_split_signs)(
    const double *values, size_t count, double least, double *positive, double *negative,
    size_t counts[3]) {
    size_t p = 0, n = 0, small = 0;
    for (size_t i = 0; i < count; i++) {
        double x = values[i], size = fabs(x);
        int kept = size >= least && size < INFINITY;
        positive[p] = size;
        negative[n] = size;
        p += kept & (x > 0);
        n += kept & (x < 0);
        small += size < least;
    }
    counts[0] = p;
    counts[1] = n;
    counts[2] = small;
}
#endif

#define TK_SUM8(v) (((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7])))

/// Mean and central sums to order 4 of 64 values, less `shift`: eight lanes, then a fixed tree.
TK_TARGET void TK_NET(tk_moments64)(const double *values, double shift, double *out) {
    double d[64], s1[8] = {0}, s2[8] = {0}, s3[8] = {0}, s4[8] = {0};
    TK_LOOP for (int i = 0; i < 64; i++) d[i] = values[i] - shift;
    for (int i = 0; i < 64; i += 8)
        TK_LANES for (int j = 0; j < 8; j++) s1[j] += d[i + j];
    double mean = TK_SUM8(s1) * (1.0 / 64.0);
    for (int i = 0; i < 64; i += 8)
        TK_LANES for (int j = 0; j < 8; j++) {
            double c = d[i + j] - mean;
            double q = c * c;
            s2[j] += q;
            s3[j] += q * c;
            s4[j] += q * q;
        }
    out[0] = mean;
    out[1] = TK_SUM8(s2);
    out[2] = TK_SUM8(s3);
    out[3] = TK_SUM8(s4);
}

/// Lower triangle of Σ (a − mean a)(b − mean b) over 64 rows of `width` columns, added to `sums`;
/// `means` gets the columns' means. `values` is column after column.
TK_TARGET void TK_NET(tk_comoments64)(
    double *values, size_t width, double *means, double *sums) {
    for (size_t a = 0; a < width; a++) {
        double *x = values + 64 * a, s[8] = {0};
        for (int i = 0; i < 64; i += 8)
            TK_LANES for (int j = 0; j < 8; j++) s[j] += x[i + j];
        double mean = TK_SUM8(s) * (1.0 / 64.0);
        means[a] = mean;
        TK_LOOP for (int i = 0; i < 64; i++) x[i] -= mean;
        for (size_t b = 0; b <= a; b++) {
            const double *y = values + 64 * b;
            double p[8] = {0};
            for (int i = 0; i < 64; i += 8)
                TK_LANES for (int j = 0; j < 8; j++) p[j] += x[i + j] * y[i + j];
            *sums++ += TK_SUM8(p);
        }
    }
}
