#pragma once
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

// SHA-256 of some bytes, by the functions that are the algorithm alone. `SHA256` asks the library's providers
// for it: that reads a configuration and registers all of their algorithms, a millisecond of every start.
static inline void tidemark_sha256(const void *bytes, size_t count, unsigned char *digest) {
    SHA256_CTX context;
    SHA256_Init(&context);
    SHA256_Update(&context, bytes, count);
    SHA256_Final(digest, &context);
}
