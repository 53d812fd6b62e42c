#pragma once
// Nothing to call: linking this target makes jemalloc the malloc of the process.
