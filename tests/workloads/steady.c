// Works through a cache's worth of memory in slices of equal work, and tells what each took.
// Usage: steady FILE; a line a slice: wall clock at its end, CPU time of it, both in nanoseconds
#include "spin.h"

#define WORDS (16 * 1024)
// About three milliseconds.
#define ROUNDS 40

static uint64_t memory[WORDS];

// Each word depends on the one before and on one far away, so the time is that of the caches.
APART uint64_t work(uint64_t value)
{
	for (uint64_t round = 0; round < ROUNDS; round++) {
		for (uint64_t index = 0; index < WORDS; index++) {
			value = value * 6364136223846793005ul + memory[(value >> 40) % WORDS];
			memory[index] ^= value;
		}
	}
	return value;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000ul + (uint64_t)now.tv_nsec;
}

int main(int argc, char **argv)
{
	FILE *out = argc > 1 ? fopen(argv[1], "w") : stdout;
	if (!out) {
		perror(argv[1]);
		return 1;
	}
	uint64_t value = work(1);
	for (;;) {
		uint64_t before = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
		value = work(value);
		uint64_t spent = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - before;
		fprintf(out, "%lu %lu\n", clock_ns(CLOCK_REALTIME), spent);
		fflush(out);
	}
	return (int)value;
}
