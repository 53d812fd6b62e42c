#pragma once
#include <stdint.h>

/// Allocations made by the calling thread since it began: malloc and its kin are replaced in the
/// whole process, to count.
uint64_t ta_allocation_count(void);

/// Bytes that the calling thread allocated and did not give back, less those of others that it did;
/// usable sizes, as malloc has them.
int64_t ta_live_byte_count(void);
