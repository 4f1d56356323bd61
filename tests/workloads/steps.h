// What the programs of `sick.c` and `healthy.c` share: how long they run, work that is spread evenly
// over many small functions, and threads that wait for work.
#ifndef STEPS_H
#define STEPS_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spin.h"

// What `spin` does, in the function that uses it: an inlined function would be the one that is found.
#define SPIN(rounds) \
	do { \
		uint64_t value = (rounds); \
		for (uint64_t round = (rounds); 0 < round; round--) { \
			value = value * 6364136223846793005ul + 1442695040888963407ul; \
			__asm__ volatile("" : "+r"(value)); \
		} \
	} while (0)

// A function that takes a given time by itself.
#define PART(name) \
	APART void name(uint64_t rounds) { SPIN(rounds); }

static uint64_t end;

static inline int goes_on(void) { return now_ns() < end; }

PART(step0) PART(step1) PART(step2) PART(step3) PART(step4) PART(step5)
PART(step6) PART(step7) PART(step8) PART(step9) PART(step10) PART(step11)

// Twelve functions that take the same time each.
APART void all_steps(uint64_t rounds)
{
	step0(rounds); step1(rounds); step2(rounds); step3(rounds);
	step4(rounds); step5(rounds); step6(rounds); step7(rounds);
	step8(rounds); step9(rounds); step10(rounds); step11(rounds);
	NOT_A_TAIL_CALL();
}

// One thing that a program can be told to do.
struct mode {
	const char *name;
	void (*run)(void);
};

// Does what was asked for by name; the exit status.
static inline int run_mode(const struct mode *modes, size_t count, const char *name)
{
	for (size_t mode = 0; mode < count; mode++)
		if (strcmp(name, modes[mode].name) == 0) {
			ready();
			modes[mode].run();
			return 0;
		}
	return 2;
}

static inline void sleep_us(long us)
{
	struct timespec time = {us / 1000000, us % 1000000 * 1000};
	nanosleep(&time, NULL);
}

// Runs something in so many threads until all of them are done.
static inline void in_threads(int count, void *(*run)(void *), void *argument)
{
	pthread_t threads[count];
	for (int index = 0; index < count; index++)
		pthread_create(&threads[index], NULL, run, argument);
	for (int index = 0; index < count; index++)
		pthread_join(threads[index], NULL);
}

// A pool: threads that wait for work.
enum { WORKERS_MAX = 4 };
static pthread_mutex_t work_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work_there = PTHREAD_COND_INITIALIZER;
static int work, is_over;
static void (*do_work)(void);

APART void *wait_for_work(void *name)
{
	pthread_setname_np(pthread_self(), name);
	for (;;) {
		pthread_mutex_lock(&work_lock);
		while (work == 0 && !is_over)
			pthread_cond_wait(&work_there, &work_lock);
		work -= work != 0;
		pthread_mutex_unlock(&work_lock);
		if (is_over)
			return NULL;
		do_work();
	}
}

static inline void hand_out(int pieces)
{
	pthread_mutex_lock(&work_lock);
	work = pieces;
	pthread_cond_broadcast(&work_there);
	pthread_mutex_unlock(&work_lock);
}

// Runs `coordinate` again and again, which hands out work to a pool of so many.
static inline void with_pool(int workers, void (*coordinate)(void), void (*piece)(void))
{
	static char *names[WORKERS_MAX] = {"w0", "w1", "w2", "w3"};
	pthread_t threads[WORKERS_MAX];
	do_work = piece;
	for (int index = 0; index < workers; index++)
		pthread_create(&threads[index], NULL, wait_for_work, names[index]);
	while (goes_on())
		coordinate();
	pthread_mutex_lock(&work_lock);
	is_over = 1;
	pthread_cond_broadcast(&work_there);
	pthread_mutex_unlock(&work_lock);
	for (int index = 0; index < workers; index++)
		pthread_join(threads[index], NULL);
}

// A connection to a port of an address, as soon as somebody listens there.
static inline int connect_to(const char *host, int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
		abort();
	while (goes_on()) {
		int connection = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(connection, (struct sockaddr *)&address, sizeof(address)) == 0)
			return connection;
		close(connection);
		sleep_us(100000);
	}
	abort();
}

// Asks for one user, and waits for the answer.
APART void load_user(int connection)
{
	char answer[64];
	if (send(connection, "user", 4, 0) != 4 || recv(connection, answer, sizeof(answer), 0) <= 0)
		abort();
	NOT_A_TAIL_CALL();
}

#endif
