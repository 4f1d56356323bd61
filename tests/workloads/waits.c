// Off the CPU in three ways, one after the other without pause: 60 % asleep, 30 % for a mutex that
// another thread holds, 10 % for a pipe that another thread writes to. The helpers sleep as long as the
// waiter waits. On a slow machine every wait is a little longer, so what each was is measured here and
// printed in the end: microseconds asleep, for the mutex, for the pipe. Usage: waits SECONDS
#define _GNU_SOURCE
#include <pthread.h>
#include <unistd.h>

#include "spin.h"

enum { ASLEEP_MS = 60, LOCKED_MS = 30, PIPED_MS = 10 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t barrier;
static int wires[2];
static int over;

static void sleep_ms(long ms)
{
	struct timespec time = {0, ms * 1000000};
	nanosleep(&time, NULL);
}

// Holds the mutex, then lets the pipe wait, in step with the waiter.
static void *help(void *argument)
{
	pthread_setname_np(pthread_self(), "helper");
	for (;;) {
		pthread_mutex_lock(&lock);
		pthread_barrier_wait(&barrier);
		if (over)
			return argument;
		sleep_ms(LOCKED_MS);
		pthread_mutex_unlock(&lock);
		pthread_barrier_wait(&barrier);
		sleep_ms(PIPED_MS);
		if (write(wires[1], "x", 1) != 1)
			abort();
	}
}

APART void wait_asleep(void)
{
	sleep_ms(ASLEEP_MS);
	NOT_A_TAIL_CALL();
}

APART void wait_for_mutex(void)
{
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
	NOT_A_TAIL_CALL();
}

APART void wait_for_pipe(void)
{
	char byte;
	if (read(wires[0], &byte, 1) != 1)
		abort();
	NOT_A_TAIL_CALL();
}

// Microseconds that a wait takes.
static uint64_t timed(void (*wait)(void))
{
	uint64_t begin = now_ns();
	wait();
	return (now_ns() - begin) / 1000;
}

APART void wait_in_turns(uint64_t end)
{
	uint64_t asleep = 0, locked = 0, piped = 0;
	while (now_ns() < end) {
		asleep += timed(wait_asleep);
		pthread_barrier_wait(&barrier);
		locked += timed(wait_for_mutex);
		pthread_barrier_wait(&barrier);
		piped += timed(wait_for_pipe);
	}
	printf("%lu %lu %lu\n", asleep, locked, piped);
}

int main(int argc, char **argv)
{
	pthread_t helper;
	uint64_t end = end_ns(argc, argv);
	pthread_barrier_init(&barrier, NULL, 2);
	if (pipe(wires) != 0)
		return 1;
	pthread_create(&helper, NULL, help, NULL);
	wait_in_turns(end);
	over = 1;
	pthread_barrier_wait(&barrier);
	return 0;
}
