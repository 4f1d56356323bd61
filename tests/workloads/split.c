// 60 % of the time in `heavy`, 30 % in `medium`, 10 % in `light`, below 20 calls of `descend`.
// Whole turns only, so the shares are exact. Usage: split SECONDS
#include "spin.h"

#define DEPTH 20

APART void heavy(void) { spin(60 * ROUNDS_PER_MS); }
APART void medium(void) { spin(30 * ROUNDS_PER_MS); }
APART void light(void) { spin(10 * ROUNDS_PER_MS); }

APART void descend(int depth)
{
	if (depth > 1) {
		descend(depth - 1);
	} else {
		heavy();
		medium();
		light();
	}
	NOT_A_TAIL_CALL();
}

int main(int argc, char **argv)
{
	uint64_t end = end_ns(argc, argv);
	ready();
	while (now_ns() < end)
		descend(DEPTH);
	return 0;
}
