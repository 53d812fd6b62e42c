// 256 values in sixteen vectors of sixteen lanes. A network sorts each lane's column of sixteen;
// then 2, 4, 8 and 16 lanes are merged: compare with the mirror image, then halve the distance,
// first over lanes, then over vectors. In the end value i of the order lies in vector i mod 16,
// lane i / 16, so every 2nd, 4th or 8th value is a few whole vectors, interleaved.
//
// Included once a tier and item type, with TK_NET(name), TK_TARGET, TK_ITEM (float or double) and
// TK_VECTOR (sixteen of them) defined; f64 takes two registers a vector.

#ifndef TK_NETWORK_SHARED
#define TK_NETWORK_SHARED
typedef float tk_v16 __attribute__((ext_vector_type(16)));
typedef double tk_d16 __attribute__((ext_vector_type(16)));

// The 60 comparators of M. W. Green's network for sixteen.
#define TK_COLUMNS \
    X(0, 1) X(2, 3) X(4, 5) X(6, 7) X(8, 9) X(10, 11) X(12, 13) X(14, 15) X(0, 2) X(1, 3) \
    X(4, 6) X(5, 7) X(8, 10) X(9, 11) X(12, 14) X(13, 15) X(0, 4) X(1, 5) X(2, 6) X(3, 7) \
    X(8, 12) X(9, 13) X(10, 14) X(11, 15) X(0, 8) X(1, 9) X(2, 10) X(3, 11) X(4, 12) X(5, 13) \
    X(6, 14) X(7, 15) X(5, 10) X(6, 9) X(3, 12) X(13, 14) X(4, 8) X(7, 11) X(1, 2) X(1, 4) \
    X(7, 13) X(2, 8) X(11, 14) X(5, 6) X(9, 10) X(2, 4) X(11, 13) X(3, 8) X(7, 12) X(6, 8) \
    X(10, 12) X(3, 5) X(7, 9) X(3, 4) X(5, 6) X(7, 8) X(9, 10) X(11, 12) X(6, 7) X(8, 9)

#define TK_SHUFFLE(v, ...) __builtin_shufflevector(v, v, __VA_ARGS__)
#define TK_LANES_X1(v) TK_SHUFFLE(v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)
#define TK_LANES_X2(v) TK_SHUFFLE(v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)
#define TK_LANES_X4(v) TK_SHUFFLE(v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11)
#define TK_LANES_X8(v) TK_SHUFFLE(v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)
#define TK_LANES_M4(v) TK_SHUFFLE(v, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12)
#define TK_LANES_M8(v) TK_SHUFFLE(v, 7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8)
#define TK_LANES_M16(v) TK_SHUFFLE(v, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
// Lower lanes from a, upper lanes from b, in groups of 2, 4, 8, 16.
#define TK_UPPER2(a, b) \
    __builtin_shufflevector(a, b, 0, 17, 2, 19, 4, 21, 6, 23, 8, 25, 10, 27, 12, 29, 14, 31)
#define TK_UPPER4(a, b) \
    __builtin_shufflevector(a, b, 0, 1, 18, 19, 4, 5, 22, 23, 8, 9, 26, 27, 12, 13, 30, 31)
#define TK_UPPER8(a, b) \
    __builtin_shufflevector(a, b, 0, 1, 2, 3, 20, 21, 22, 23, 8, 9, 10, 11, 28, 29, 30, 31)
#define TK_UPPER16(a, b) \
    __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31)
#define TK_LOW(a, b) \
    __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define TK_HIGH(a, b) \
    __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)

#define TK_UNROLL _Pragma("clang loop unroll(full)")
#define TK_MIRROR(lanes, upper) \
    { \
        TK_VECTOR next[16]; \
        TK_UNROLL for (int i = 0; i < 16; i++) { \
            TK_VECTOR other = lanes(r[15 - i]); \
            next[i] = upper(TK_MIN(r[i], other), TK_MAX(r[i], other)); \
        } \
        TK_UNROLL for (int i = 0; i < 16; i++) r[i] = next[i]; \
    }
#define TK_DISTANCE(lanes, upper) \
    TK_UNROLL for (int i = 0; i < 16; i++) { \
        TK_VECTOR other = lanes(r[i]); \
        r[i] = upper(TK_MIN(r[i], other), TK_MAX(r[i], other)); \
    }
#define TK_VECTORS \
    TK_UNROLL for (int half = 8; half >= 1; half /= 2) \
        TK_UNROLL for (int i = 0; i < 16; i++) if (!(i & half)) X(i, i + half)
#define X(a, b) \
    { \
        TK_VECTOR low = TK_MIN(r[a], r[b]); \
        r[b] = TK_MAX(r[a], r[b]); \
        r[a] = low; \
    }
#endif

TK_TARGET TK_INLINE void TK_NET(tk_network)(TK_VECTOR *r) {
    TK_COLUMNS
    TK_MIRROR(TK_LANES_X1, TK_UPPER2) TK_VECTORS
    TK_MIRROR(TK_LANES_M4, TK_UPPER4) TK_DISTANCE(TK_LANES_X1, TK_UPPER2) TK_VECTORS
    TK_MIRROR(TK_LANES_M8, TK_UPPER8) TK_DISTANCE(TK_LANES_X2, TK_UPPER4)
    TK_DISTANCE(TK_LANES_X1, TK_UPPER2) TK_VECTORS
    TK_MIRROR(TK_LANES_M16, TK_UPPER16) TK_DISTANCE(TK_LANES_X4, TK_UPPER8)
    TK_DISTANCE(TK_LANES_X2, TK_UPPER4) TK_DISTANCE(TK_LANES_X1, TK_UPPER2) TK_VECTORS
}

/// Sorts a bitonic sequence, as a merge of two sorted halves leaves it.
TK_TARGET TK_INLINE void TK_NET(tk_bitonic)(TK_VECTOR *r) {
    TK_DISTANCE(TK_LANES_X8, TK_UPPER16) TK_DISTANCE(TK_LANES_X4, TK_UPPER8)
    TK_DISTANCE(TK_LANES_X2, TK_UPPER4) TK_DISTANCE(TK_LANES_X1, TK_UPPER2) TK_VECTORS
}

TK_TARGET TK_INLINE void TK_NET(tk_load)(const TK_ITEM *values, TK_VECTOR *r) {
    TK_UNROLL for (int i = 0; i < 16; i++) memcpy(&r[i], values + 16 * i, sizeof(TK_VECTOR));
}

/// Writes those of 256 sorted values at offset, offset + stride, …; stride 1, 2, 4 or 8.
TK_TARGET TK_INLINE void TK_NET(tk_write)(
    const TK_VECTOR *r, int stride, int offset, TK_ITEM *out) {
    // The vectors offset, offset + stride, …; interleaving pairs half their count apart, four
    // times at most, puts them in order.
    int count = 16 / stride;
    TK_VECTOR a[16], b[16];
    if (stride == 1) {
        TK_UNROLL for (int i = 0; i < 16; i++) a[i] = r[i];
    } else {
        for (int i = 0; i < 16; i++) b[i] = r[i];
        for (int i = 0; i < count; i++) a[i] = b[offset + stride * i];
    }
    // a holds `count` sequences of `length` vectors each, one after the other.
    TK_UNROLL for (int length = 1; length < count; length *= 2) {
        int half = count / length / 2;
        TK_UNROLL for (int i = 0; i < half; i++)
            TK_UNROLL for (int j = 0; j < length; j++) {
                b[(2 * i) * length + 2 * j] = TK_LOW(a[i * length + j], a[(i + half) * length + j]);
                b[(2 * i) * length + 2 * j + 1] =
                    TK_HIGH(a[i * length + j], a[(i + half) * length + j]);
            }
        TK_UNROLL for (int i = 0; i < count; i++) a[i] = b[i];
    }
    TK_UNROLL for (int i = 0; i < count; i++) memcpy(out + 16 * i, &a[i], sizeof(TK_VECTOR));
}

/// Sorts values[0 ..< 256] and writes those at offset, offset + stride, …; stride 1, 2, 4 or 8.
TK_TARGET TK_INLINE void TK_NET(tk_sorted)(
    const TK_ITEM *values, int stride, int offset, TK_ITEM *out) {
    TK_VECTOR r[16];
    TK_NET(tk_load)(values, r);
    TK_NET(tk_network)(r);
    TK_NET(tk_write)(r, stride, offset, out);
}
