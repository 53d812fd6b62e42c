// Writes predictions as newline-delimited JSON to standard output, faster than they are read: the same bytes
// for the same arguments.
//
// usage: rows ROWS GROUPS COLUMNS SECONDS
//
// Of 16 columns 13 are numbers (n0, n1, …) and 3 categories (c0, c1, …) of 5, 50 and 10,000 values, skewed, as in
// W1; 1% are null. Texts are drawn from tables, so that writing a row is copying. Event times span SECONDS from a
// whole hour on, in order but for up to 2 s.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXTS = 1 << 16, WIDTH = 24, BUFFER = 1 << 20 };

typedef struct {
    char text[WIDTH];
} Text;

static uint64_t state = 20240611;

static uint64_t draw(void) {
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static double uniform(void) { return (double)(draw() >> 11) * 0x1p-53; }

// The length stands in the last byte.
static Text *table(int kind) {
    Text *texts = calloc(TEXTS, sizeof(Text));
    for (int i = 0; i < TEXTS; i++) {
        char *text = texts[i].text;
        double normal = sqrt(-2 * log(1 - uniform())) * cos(6.283185307179586 * uniform());
        int cardinality[] = {5, 50, 10000};
        if (uniform() < 0.01) strcpy(text, "null");
        else if (kind == 0) snprintf(text, WIDTH - 1, "%.5f", normal);
        else if (kind == 1) snprintf(text, WIDTH - 1, "%.5f", exp(1 + 0.8 * normal));
        else {
            int most = cardinality[kind - 2] - 1;
            double value = (pow(1 - uniform(), -1 / 0.8) - 1) * 4;
            snprintf(text, WIDTH - 1, "\"sku-%d\"", value < most ? (int)value : most);
        }
        text[WIDTH - 1] = (char)strlen(text);
    }
    return texts;
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    long rows = atol(argv[1]), groups = atol(argv[2]), columns = atol(argv[3]), seconds = atol(argv[4]);
    Text *tables[5];
    for (int kind = 0; kind < 5; kind++) tables[kind] = table(kind);
    char (*names)[16] = calloc((size_t)columns, 16);
    int *kinds = calloc((size_t)columns, sizeof(int)), numbers = 0, categories = 0;
    for (long i = 0; i < columns; i++) {
        int isText = i % 16 >= 13;
        kinds[i] = isText ? 2 + categories % 3 : numbers % 2;
        snprintf(names[i], 16, ",\"%c%d\":", isText ? 'c' : 'n', isText ? categories++ : numbers++);
    }
    char *buffer = malloc(BUFFER);
    size_t most = 128 + (size_t)columns * (16 + WIDTH), used = 0;
    const long long start = 1700002800000;
    for (long row = 0; row < rows; row++) {
        if (used + most > BUFFER || row == 0) {
            for (size_t done = 0; done < used;) {
                ssize_t part = write(1, buffer + done, used - done);
                if (part <= 0) return 1;
                done += (size_t)part;
            }
            used = 0;
        }
        uint64_t random = draw();
        long long time = start + (long long)((double)row / (double)rows * (double)seconds * 1000) + (long long)(random % 2000);
        if (time >= start + seconds * 1000) time = start + seconds * 1000 - 1;
        used += (size_t)sprintf(buffer + used, "{\"model\":\"g%ld\",\"ts\":%lld", (long)((random >> 32) % (uint64_t)groups), time);
        for (long i = 0; i < columns; i++) {
            const Text *text = tables[kinds[i]] + (draw() & (TEXTS - 1));
            size_t length = strlen(names[i]);
            memcpy(buffer + used, names[i], 16);
            used += length;
            memcpy(buffer + used, text->text, WIDTH);
            used += (size_t)text->text[WIDTH - 1];
        }
        memcpy(buffer + used, "}\n", 2);
        used += 2;
    }
    for (size_t done = 0; done < used;) {
        ssize_t part = write(1, buffer + done, used - done);
        if (part <= 0) return 1;
        done += (size_t)part;
    }
    return 0;
}
