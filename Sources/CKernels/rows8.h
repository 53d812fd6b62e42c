// 256 f32 in 32 rows of eight lanes, for sixteen registers: as network.h, with one merge of lanes
// less, and never more than sixteen rows at work. In the end value i of the order lies in row
// i mod 32, lane i / 32, so every 2nd, 4th or 8th value is a few whole rows, transposed.
//
// Included once, behind network.h, with TK_TARGET, TK_MIN and TK_MAX defined.

typedef float tk_v8 __attribute__((ext_vector_type(8)));
#undef TK_VECTOR
#define TK_VECTOR tk_v8

#define TK_ROWS_X1(v) TK_SHUFFLE(v, 1, 0, 3, 2, 5, 4, 7, 6)
#define TK_ROWS_X2(v) TK_SHUFFLE(v, 2, 3, 0, 1, 6, 7, 4, 5)
#define TK_ROWS_M4(v) TK_SHUFFLE(v, 3, 2, 1, 0, 7, 6, 5, 4)
#define TK_ROWS_M8(v) TK_SHUFFLE(v, 7, 6, 5, 4, 3, 2, 1, 0)
#define TK_ROWS_UPPER2(a, b) __builtin_shufflevector(a, b, 0, 9, 2, 11, 4, 13, 6, 15)
#define TK_ROWS_UPPER4(a, b) __builtin_shufflevector(a, b, 0, 1, 10, 11, 4, 5, 14, 15)
#define TK_ROWS_UPPER8(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 12, 13, 14, 15)

/// Distances 4, 2, 1 among eight rows.
#define TK_ROWS_EIGHT(r) \
    { \
        X(0, 4) X(1, 5) X(2, 6) X(3, 7) X(0, 2) X(1, 3) X(4, 6) X(5, 7) \
        X(0, 1) X(2, 3) X(4, 5) X(6, 7) \
    }

/// What a bitonic sequence over 32 rows needs: distances 16, 8, 4, 2, 1.
TK_TARGET TK_INLINE void tk_rows_merge(tk_v8 *m) {
    TK_UNROLL for (int i = 0; i < 8; i++) {
        tk_v8 r[4] = {m[i], m[i + 8], m[i + 16], m[i + 24]};
        X(0, 2) X(1, 3) X(0, 1) X(2, 3)
        m[i] = r[0];
        m[i + 8] = r[1];
        m[i + 16] = r[2];
        m[i + 24] = r[3];
    }
    TK_UNROLL for (int i = 0; i < 32; i += 8) {
        tk_v8 r[8];
        TK_UNROLL for (int j = 0; j < 8; j++) r[j] = m[i + j];
        TK_ROWS_EIGHT(r)
        TK_UNROLL for (int j = 0; j < 8; j++) m[i + j] = r[j];
    }
}

/// Distances 8, 4, 2, 1 within the first and the last sixteen rows.
TK_TARGET TK_INLINE void tk_rows_halves(tk_v8 *m) {
    TK_UNROLL for (int half = 0; half < 32; half += 16) {
        tk_v8 r[16];
        TK_UNROLL for (int i = 0; i < 16; i++) r[i] = m[half + i];
        TK_VECTORS
        TK_UNROLL for (int i = 0; i < 16; i++) m[half + i] = r[i];
    }
}

/// Compares each row with the mirror image of the one as far from the end, in groups of lanes, then
/// lanes at the distances of `rest`.
#define TK_ROWS_MIRROR(mirror, upper, rest) \
    TK_UNROLL for (int i = 0; i < 16; i++) { \
        tk_v8 a = m[i], b = mirror(m[31 - i]); \
        tk_v8 low = TK_MIN(a, b), high = TK_MAX(a, b); \
        a = upper(low, high); \
        b = mirror(upper(high, low)); \
        rest(a) rest(b) m[i] = a; \
        m[31 - i] = b; \
    }
#define TK_ROWS_NONE(v)
#define TK_ROWS_ONE(v) \
    { \
        tk_v8 other = TK_ROWS_X1(v); \
        v = TK_ROWS_UPPER2(TK_MIN(v, other), TK_MAX(v, other)); \
    }
#define TK_ROWS_TWO(v) \
    { \
        tk_v8 other = TK_ROWS_X2(v); \
        v = TK_ROWS_UPPER4(TK_MIN(v, other), TK_MAX(v, other)); \
    } \
    TK_ROWS_ONE(v)

/// Writes eight rows as columns.
TK_TARGET TK_INLINE void tk_rows_transposed(
    const tk_v8 *m, int stride, float *out, int step) {
    tk_v8 a[8], b[8];
    TK_UNROLL for (int i = 0; i < 4; i++) {
        tk_v8 x = m[2 * i * stride], y = m[(2 * i + 1) * stride];
        a[2 * i] = __builtin_shufflevector(x, y, 0, 8, 1, 9, 4, 12, 5, 13);
        a[2 * i + 1] = __builtin_shufflevector(x, y, 2, 10, 3, 11, 6, 14, 7, 15);
    }
    TK_UNROLL for (int i = 0; i < 2; i++) TK_UNROLL for (int j = 0; j < 2; j++) {
        tk_v8 x = a[4 * i + j], y = a[4 * i + 2 + j];
        b[4 * i + 2 * j] = __builtin_shufflevector(x, y, 0, 1, 8, 9, 4, 5, 12, 13);
        b[4 * i + 2 * j + 1] = __builtin_shufflevector(x, y, 2, 3, 10, 11, 6, 7, 14, 15);
    }
    TK_UNROLL for (int i = 0; i < 4; i++) {
        tk_v8 low = __builtin_shufflevector(b[i], b[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        tk_v8 high = __builtin_shufflevector(b[i], b[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
        memcpy(out + i * step, &low, sizeof low);
        memcpy(out + (i + 4) * step, &high, sizeof high);
    }
}

/// Sorts values[0 ..< 256] and writes those at offset, offset + stride, …; stride 1, 2, 4 or 8.
TK_TARGET TK_INLINE void tk_rows_sorted(
    const float *values, int stride, int offset, float *out) {
    tk_v8 m[32];
    TK_UNROLL for (int half = 0; half < 32; half += 16) {
        tk_v8 r[16];
        TK_UNROLL for (int i = 0; i < 16; i++) memcpy(&r[i], values + 8 * (half + i), sizeof r[i]);
        TK_COLUMNS
        TK_UNROLL for (int i = 0; i < 16; i++) m[half + i] = r[i];
    }
    TK_UNROLL for (int i = 0; i < 16; i++) {
        tk_v8 a = m[i], b = m[31 - i];
        m[i] = TK_MIN(a, b);
        m[31 - i] = TK_MAX(a, b);
    }
    tk_rows_halves(m);
    TK_ROWS_MIRROR(TK_ROWS_X1, TK_ROWS_UPPER2, TK_ROWS_NONE) tk_rows_merge(m);
    TK_ROWS_MIRROR(TK_ROWS_M4, TK_ROWS_UPPER4, TK_ROWS_ONE) tk_rows_merge(m);
    TK_ROWS_MIRROR(TK_ROWS_M8, TK_ROWS_UPPER8, TK_ROWS_TWO) tk_rows_merge(m);
    // Lane l of rows offset, offset + stride, … are values that follow each other: 32 / stride.
    int length = 32 / stride;
    if (length == 4) {
        float columns[64];
        tk_v8 r[8] = {m[offset], m[offset + 8], m[offset + 16], m[offset + 24]};
        tk_rows_transposed(r, 1, columns, 8);
        for (int l = 0; l < 8; l++) memcpy(out + 4 * l, columns + 8 * l, 16);
        return;
    }
    for (int i = 0; i < length; i += 8)
        tk_rows_transposed(m + offset + i * stride, stride, out + i, length);
}
