// A fixed amount of work over a cache's worth of memory; prints the time it took.
// Usage: steady ROUNDS, some three to a millisecond
#include "spin.h"

#define WORDS (64 * 1024)

static uint64_t memory[WORDS];

// Each word depends on the one before and on one far away, so the time is that of the caches.
APART uint64_t work(uint64_t rounds)
{
	uint64_t value = 1;
	for (uint64_t round = 0; round < rounds; round++) {
		for (uint64_t index = 0; index < WORDS; index++) {
			value = value * 6364136223846793005ul + memory[(value >> 40) % WORDS];
			memory[index] ^= value;
		}
	}
	return value;
}

static uint64_t cpu_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000ul + (uint64_t)now.tv_nsec;
}

int main(int argc, char **argv)
{
	uint64_t rounds = argc > 1 ? (uint64_t)atol(argv[1]) : 1000;
	work(rounds / 10); // warms the caches
	uint64_t wall = now_ns(), cpu = cpu_ns();
	uint64_t value = work(rounds);
	cpu = cpu_ns() - cpu;
	wall = now_ns() - wall;
	printf("steady wall_ns %lu cpu_ns %lu value %lu\n", wall, cpu, value);
	return 0;
}
