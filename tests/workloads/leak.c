// Loses memory at a steady rate, beside a heavy churn of memory that is always given back: a ring of
// live objects, each replaced in its turn. Prints the bytes lost and the bytes that live in the ring.
// Usage: leak SECONDS
#include "spin.h"

enum { LOST = 4000, CHURNED = 1000, RING = 2000, CHURNS_IN_A_ROUND = 100 };

static void *ring[RING];
static void **lost;

APART void lose(void)
{
	void **memory = malloc(LOST);
	*memory = lost;
	lost = memory;
}

APART void churn(uint64_t turn)
{
	void **slot = &ring[turn % RING];
	free(*slot);
	*slot = malloc(CHURNED);
	NOT_A_TAIL_CALL();
}

int main(int argc, char **argv)
{
	uint64_t end = end_ns(argc, argv), start = now_ns(), turn = 0, lost_objects = 0;
	while (now_ns() < end) {
		for (int i = 0; i < CHURNS_IN_A_ROUND; i++)
			churn(turn++);
		// A thousand a second, whatever the probes cost.
		while (lost_objects < (now_ns() - start) / 1000000ul) {
			lose();
			lost_objects++;
		}
	}
	printf("%lu %lu\n", lost_objects * LOST, turn < RING ? turn * CHURNED : (uint64_t)RING * CHURNED);
	fflush(stdout);
	// Killed and not ended, so that what lives still does when the recording is over.
	for (;;)
		__asm__ volatile("pause");
}
