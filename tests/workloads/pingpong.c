// Two processes on one CPU hand a byte to and fro through two pipes: two context switches a round and
// nothing else. Prints the nanoseconds of a round. With a number of rounds a second, it is busy until
// each is due, so that looking at it changes their number as little as can be.
// Usage: pingpong SECONDS [ROUNDS_PER_SECOND]
#define _GNU_SOURCE
#include <sched.h>
#include <unistd.h>

#include "spin.h"

int main(int argc, char **argv)
{
	int there[2], back[2];
	char byte = 0;
	cpu_set_t last;
	uint64_t begin, rounds = 0;
	CPU_ZERO(&last);
	CPU_SET(sysconf(_SC_NPROCESSORS_ONLN) - 1, &last);
	if (sched_setaffinity(0, sizeof last, &last) != 0 || pipe(there) != 0 || pipe(back) != 0)
		return 1;
	if (fork() == 0) {
		close(there[1]);
		while (read(there[0], &byte, 1) == 1)
			if (write(back[1], &byte, 1) != 1)
				return 1;
		return 0;
	}
	uint64_t end = end_ns(argc, argv);
	uint64_t pace_ns = argc > 2 ? 1000000000ul / strtoul(argv[2], NULL, 10) : 0;
	begin = now_ns();
	for (uint64_t due = begin; now_ns() < end; rounds++) {
		due += pace_ns;
		while (pace_ns != 0 && now_ns() < due)
			;
		if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
			return 1;
	}
	printf("%lu\n", (now_ns() - begin) / rounds);
	return 0;
}
