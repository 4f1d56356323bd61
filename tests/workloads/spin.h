// Work with a known price: a chain of multiplications, each waiting for the one before, so that the
// time is the number of rounds whatever the alignment of the loop.
#ifndef SPIN_H
#define SPIN_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

// About a millisecond on a CPU of 3 GHz. Only ratios of it matter.
#define ROUNDS_PER_MS 750000ul

// A function of its own: not inlined, not merged with a twin, not cloned.
#define APART __attribute__((noipa))

// Put behind a call, keeps it from becoming a jump.
#define NOT_A_TAIL_CALL() __asm__ volatile("" ::: "memory")

static inline __attribute__((always_inline)) void spin(uint64_t rounds)
{
	uint64_t value = rounds;
	for (uint64_t round = 0; round < rounds; round++) {
		value = value * 6364136223846793005ul + 1442695040888963407ul;
		__asm__ volatile("" : "+r"(value));
	}
}

// Nanoseconds of the monotonic clock.
static inline uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ul + (uint64_t)now.tv_nsec;
}

// When a run of `seconds` (the first argument, fractions allowed) is over.
static inline uint64_t end_ns(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 1.0;
	return now_ns() + (uint64_t)(seconds * 1e9);
}

// Tells whoever started the program that its work begins.
static inline void ready(void)
{
	puts("ready");
	fflush(stdout);
}

#endif
