// Four threads that never wait, on one CPU: each has it a quarter of the time and is preempted the rest.
// Prints the microseconds that all four together had no CPU. Usage: crowd SECONDS
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>

#include "spin.h"

static uint64_t end;

static uint64_t own_ns(void)
{
	struct timespec time;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000ul + (uint64_t)time.tv_nsec;
}

APART void *push(void *argument)
{
	pthread_setname_np(pthread_self(), "pusher");
	uint64_t begin = now_ns() - own_ns();
	while (now_ns() < end)
		spin(ROUNDS_PER_MS);
	*(uint64_t *)argument = now_ns() - own_ns() - begin;
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[4];
	uint64_t off_ns[4], all_ns = 0;
	cpu_set_t first;
	end = end_ns(argc, argv);
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	if (sched_setaffinity(0, sizeof first, &first) != 0)
		return 1;
	for (int index = 0; index < 4; index++)
		pthread_create(&threads[index], NULL, push, &off_ns[index]);
	for (int index = 0; index < 4; index++)
		pthread_join(threads[index], NULL);
	for (int index = 0; index < 4; index++)
		all_ns += off_ns[index];
	printf("%lu\n", all_ns / 1000);
	return 0;
}
