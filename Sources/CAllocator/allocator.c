// What jemalloc reads before anything else runs; `MALLOC_CONF` in the environment goes over it.
//
// One arena. The client allocates a few hundred bytes for each message on its broker's thread and a
// worker frees them: threads exchange such blocks a batch at a time through caches of their own, and an
// arena for each thread would only keep more memory.
const char *malloc_conf = "narenas:1";
