// All of the time at the bottom of a recursion. Usage: recursion SECONDS DEPTH
#include "spin.h"

APART void bottom(uint64_t end)
{
	while (now_ns() < end)
		spin(ROUNDS_PER_MS);
}

APART void recurse(long depth, uint64_t end)
{
	if (depth > 1)
		recurse(depth - 1, end);
	else
		bottom(end);
	NOT_A_TAIL_CALL();
}

int main(int argc, char **argv)
{
	uint64_t end = end_ns(argc, argv);
	ready();
	recurse(argc > 2 ? atol(argv[2]) : 100, end);
	return 0;
}
