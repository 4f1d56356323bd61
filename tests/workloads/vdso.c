// Reads the clock, and does nothing else. Usage: vdso SECONDS
#include "spin.h"

APART uint64_t read_clock(void)
{
	uint64_t last = 0;
	for (int turn = 0; turn < 100000; turn++)
		last = now_ns();
	return last;
}

int main(int argc, char **argv)
{
	uint64_t end = end_ns(argc, argv);
	ready();
	while (read_clock() < end)
		;
	return 0;
}
