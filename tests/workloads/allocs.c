// Allocates by two functions, three bytes by the one with small objects for each byte by the one with
// large objects, and frees at once. Prints bytes and objects of both in the end. Usage: allocs SECONDS
#include "spin.h"

enum { SMALL = 240, LARGE = 24000, SMALL_IN_A_ROUND = 300 };

static uint64_t objects[2];

APART void *allocate_small(void)
{
	void *memory = malloc(SMALL);
	NOT_A_TAIL_CALL();
	return memory;
}

APART void *allocate_large(void)
{
	void *memory = malloc(LARGE);
	NOT_A_TAIL_CALL();
	return memory;
}

int main(int argc, char **argv)
{
	uint64_t end = end_ns(argc, argv);
	while (now_ns() < end) {
		for (int i = 0; i < SMALL_IN_A_ROUND; i++)
			free(allocate_small());
		free(allocate_large());
		objects[0] += SMALL_IN_A_ROUND;
		objects[1]++;
	}
	printf("%lu %lu %lu %lu\n", objects[0] * SMALL, objects[0], objects[1] * LARGE, objects[1]);
}
