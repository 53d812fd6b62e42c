#include "TidemarkAllocations.h"

#include <errno.h>
#include <malloc.h>
#include <stddef.h>

// glibc's own, under the names that stay when malloc is replaced.
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *block);

static __thread uint64_t count __attribute__((tls_model("initial-exec")));
static __thread int64_t live __attribute__((tls_model("initial-exec")));

uint64_t ta_allocation_count(void) { return count; }
int64_t ta_live_byte_count(void) { return live; }

static void *made(void *block) {
    count++;
    if (block) live += (int64_t)malloc_usable_size(block);
    return block;
}

void *malloc(size_t size) { return made(__libc_malloc(size)); }
void *calloc(size_t items, size_t size) { return made(__libc_calloc(items, size)); }

void *realloc(void *old, size_t size) {
    int64_t before = old ? (int64_t)malloc_usable_size(old) : 0;
    void *block = __libc_realloc(old, size);
    // What could not grow stays as it was.
    if (block || size == 0) live -= before;
    return made(block);
}

void *memalign(size_t alignment, size_t size) {
    return made(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **out, size_t alignment, size_t size) {
    void *block = memalign(alignment, size);
    if (!block) return ENOMEM;
    *out = block;
    return 0;
}

void free(void *block) {
    if (block) live -= (int64_t)malloc_usable_size(block);
    __libc_free(block);
}
