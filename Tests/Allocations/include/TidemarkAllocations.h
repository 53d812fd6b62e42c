#pragma once
#include <stdint.h>

/// Allocations made by the calling thread since it began: malloc and its kin are replaced in the
/// whole process, to count.
uint64_t ta_allocation_count(void);

/// Bytes that are allocated and not yet freed, in the whole process.
uint64_t ta_live_byte_count(void);
