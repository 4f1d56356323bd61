// Two processes on one CPU hand a byte to and fro through two pipes: two context switches a round and
// nothing else. Prints the nanoseconds of a round. Usage: pingpong SECONDS
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
	begin = now_ns();
	for (; now_ns() < end; rounds++)
		if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
			return 1;
	printf("%lu\n", (now_ns() - begin) / rounds);
	return 0;
}
