// Three named threads take turns: 50 % `red`, 30 % `green`, 20 % `blue`. One runs at a time, so the
// shares do not depend on how fast each CPU is. Usage: threads SECONDS
#define _GNU_SOURCE
#include <pthread.h>

#include "spin.h"

struct painter {
	const char *name;
	uint64_t rounds;
	int turn;
};

static struct painter painters[3] = {
	{"red", 50 * ROUNDS_PER_MS, 0},
	{"green", 30 * ROUNDS_PER_MS, 1},
	{"blue", 20 * ROUNDS_PER_MS, 2},
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_changed = PTHREAD_COND_INITIALIZER;
static int turn;
static uint64_t end;

APART void stroke(uint64_t rounds) { spin(rounds); }

APART void *paint(void *argument)
{
	struct painter *painter = argument;
	pthread_setname_np(pthread_self(), painter->name);
	pthread_mutex_lock(&lock);
	// Only the first may stop, so that each stroke of it is followed by one of the others.
	while (turn >= 0) {
		if (turn != painter->turn) {
			pthread_cond_wait(&turn_changed, &lock);
			continue;
		}
		if (turn == 0 && now_ns() >= end) {
			turn = -1;
		} else {
			stroke(painter->rounds);
			turn = (turn + 1) % 3;
		}
		pthread_cond_broadcast(&turn_changed);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread[3];
	end = end_ns(argc, argv);
	ready();
	for (int index = 0; index < 3; index++)
		pthread_create(&thread[index], NULL, paint, &painters[index]);
	for (int index = 0; index < 3; index++)
		pthread_join(thread[index], NULL);
	return 0;
}
