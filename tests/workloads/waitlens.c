// Two threads are off the CPU about as long in all: one for 10 us at a time, one for 100 ms. Off the CPU
// is what the clock on the wall and the thread's own clock do not share; the latter charges a thread with
// part of the switch to it, so this is not exact. Usage: waitlens SECONDS
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/prctl.h>

#include "spin.h"

struct sleeper {
	const char *name;
	long wait_ns;
	// Below zero when the thread lost the CPU between its first looks at the two clocks.
	int64_t off_ns;
};

static struct sleeper sleepers[2] = {{"brief", 10000, 0}, {"long", 100000000, 0}};
static int64_t goal_ns;

static uint64_t own_ns(void)
{
	struct timespec time;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000ul + (uint64_t)time.tv_nsec;
}

APART void doze(struct sleeper *sleeper)
{
	struct timespec time = {0, sleeper->wait_ns};
	nanosleep(&time, NULL);
	NOT_A_TAIL_CALL();
}

APART void *sleep_in_steps(void *argument)
{
	struct sleeper *sleeper = argument;
	pthread_setname_np(pthread_self(), sleeper->name);
	// Without it, timers are up to 50 us late.
	prctl(PR_SET_TIMERSLACK, 1);
	uint64_t begin = now_ns() - own_ns();
	while (sleeper->off_ns < goal_ns) {
		doze(sleeper);
		sleeper->off_ns = (int64_t)(now_ns() - own_ns() - begin);
	}
	return argument;
}

int main(int argc, char **argv)
{
	pthread_t threads[2];
	goal_ns = (int64_t)(end_ns(argc, argv) - now_ns());
	for (int index = 0; index < 2; index++)
		pthread_create(&threads[index], NULL, sleep_in_steps, &sleepers[index]);
	for (int index = 0; index < 2; index++)
		pthread_join(threads[index], NULL);
	return 0;
}
