// Throws through four frames, again and again: most of the time is the C++ runtime unwinding.
// Usage: throws SECONDS
#include "spin.h"

APART void thrower(int depth)
{
	if (depth == 0)
		throw depth;
	thrower(depth - 1);
	NOT_A_TAIL_CALL();
}

APART int catcher()
{
	try {
		thrower(4);
	} catch (int depth) {
		return depth;
	}
	return 1;
}

int main(int argc, char **argv)
{
	uint64_t end = end_ns(argc, argv);
	ready();
	int sum = 0;
	while (now_ns() < end)
		for (int turn = 0; turn < 1000; turn++)
			sum += catcher();
	return sum;
}
