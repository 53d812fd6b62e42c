#pragma once
#include <stdint.h>

/// Allocations made by the calling thread since it began: malloc and its kin are replaced in the
/// whole process, to count.
uint64_t ta_allocation_count(void);
