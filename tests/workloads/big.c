// Spins below functions from all over 10 MB of code. Usage: big SECONDS
#include "spin.h"

typedef void (*callback)(void);
extern void (*const big_functions[])(callback);
extern void (*const big_functions_end[])(callback);

APART void big_leaf(void) { spin(ROUNDS_PER_MS); }

int main(int argc, char **argv)
{
	uint64_t end = end_ns(argc, argv);
	size_t count = (size_t)(big_functions_end - big_functions);
	ready();
	// A stride that has no divisor in common with the count reaches every function.
	for (size_t index = 0; now_ns() < end; index = (index + 4999) % count)
		big_functions[index](big_leaf);
	return 0;
}
