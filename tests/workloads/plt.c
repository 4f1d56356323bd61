// Calls tiny functions of a shared library through lazily bound entries of the procedure linkage table,
// so that a good part of the samples falls into the entries. Usage: plt SECONDS
#include "spin.h"

extern long tiny_one(long);
extern long tiny_two(long);
extern long tiny_three(long);

APART long call_tiny(long value)
{
	for (int turn = 0; turn < 100000; turn++)
		value = tiny_three(tiny_two(tiny_one(value)));
	return value;
}

int main(int argc, char **argv)
{
	uint64_t end = end_ns(argc, argv);
	ready();
	long value = 1;
	while (now_ns() < end)
		value = call_tiny(value);
	return value == 0;
}
