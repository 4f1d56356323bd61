// Two hundred threads that sleep 20 to 180 ms at a time: longer than the governor looks at a time, and
// half of them longer than it looks away. Prints how often they slept, and the microseconds off the CPU.
// Usage: dozers SECONDS
#define _GNU_SOURCE
#include <pthread.h>

#include "spin.h"

enum { DOZERS = 200 };

struct dozer {
	uint64_t seed, naps, off_ns;
};

static uint64_t end;

static uint64_t own_ns(void)
{
	struct timespec time;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000ul + (uint64_t)time.tv_nsec;
}

APART void *doze(void *argument)
{
	struct dozer *dozer = argument;
	pthread_setname_np(pthread_self(), "dozer");
	uint64_t begin = now_ns() - own_ns();
	while (now_ns() < end) {
		dozer->seed = dozer->seed * 6364136223846793005ul + 1442695040888963407ul;
		struct timespec time = {0, 20000000 + (long)((dozer->seed >> 33) % 160000000)};
		nanosleep(&time, NULL);
		dozer->naps++;
	}
	dozer->off_ns = now_ns() - own_ns() - begin;
	return NULL;
}

int main(int argc, char **argv)
{
	static pthread_t threads[DOZERS];
	static struct dozer dozers[DOZERS];
	uint64_t naps = 0, off_ns = 0;
	end = end_ns(argc, argv);
	for (uint64_t index = 0; index < DOZERS; index++) {
		dozers[index].seed = index;
		if (pthread_create(&threads[index], NULL, doze, &dozers[index]) != 0)
			return 1;
	}
	for (int index = 0; index < DOZERS; index++) {
		pthread_join(threads[index], NULL);
		naps += dozers[index].naps;
		off_ns += dozers[index].off_ns;
	}
	printf("%lu %lu\n", naps, off_ns / 1000);
	return 0;
}
