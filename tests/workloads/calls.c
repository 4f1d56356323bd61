// System calls whose number is known, each with an outcome that nothing else in this program has, and
// two ways to wait in one, which are timed. Prints microseconds asleep and in the pipe.
// Usage: calls [compat], the latter for system calls by the 32-bit way, and nothing else.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "spin.h"

enum { PARENTS = 100000, YIELDS = 5000, EMPTY = 3000, MISSING = 2000, NO_SEEK = 1000, BAD = 500 };
enum { ROUNDS = 150, ASLEEP_MS = 6, PIPED_MS = 3, COMPAT = 400 };
// The number of getppid for 32-bit programs.
enum { COMPAT_GETPPID = 64 };

static int wires[2];

APART void ask_parent(void)
{
	for (int round = 0; round < PARENTS; round++)
		syscall(SYS_getppid);
	NOT_A_TAIL_CALL();
}

static void *second(void *argument)
{
	ask_parent();
	return argument;
}

static void fail(void)
{
	char byte;
	int empty[2];
	if (pipe2(empty, O_NONBLOCK) != 0)
		abort();
	for (int round = 0; round < EMPTY; round++)
		if (read(empty[0], &byte, 1) != -1)
			abort();
	for (int round = 0; round < NO_SEEK; round++)
		if (lseek(empty[0], 0, SEEK_SET) != -1)
			abort();
	for (int round = 0; round < MISSING; round++)
		if (unlink("/nothing/here") != -1)
			abort();
	for (int round = 0; round < BAD; round++)
		if (close(-1) != -1)
			abort();
}

APART void doze(void)
{
	struct timespec time = {0, ASLEEP_MS * 1000000};
	nanosleep(&time, NULL);
	NOT_A_TAIL_CALL();
}

APART void wait_for_pipe(void)
{
	char byte;
	if (read(wires[0], &byte, 1) != 1)
		abort();
	NOT_A_TAIL_CALL();
}

static void *feed(void *argument)
{
	struct timespec time = {0, PIPED_MS * 1000000};
	pthread_setname_np(pthread_self(), "feeder");
	for (int round = 0; round < ROUNDS; round++) {
		nanosleep(&time, NULL);
		if (write(wires[1], "x", 1) != 1)
			abort();
	}
	return argument;
}

static uint64_t timed(void (*wait)(void))
{
	uint64_t begin = now_ns();
	for (int round = 0; round < ROUNDS; round++)
		wait();
	return (now_ns() - begin) / 1000;
}

#ifdef __x86_64__
static int call_compat(void)
{
	for (int round = 0; round < COMPAT; round++) {
		long result = COMPAT_GETPPID;
		__asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
		if (result != getppid())
			return 1;
	}
	return 0;
}
#else
static int call_compat(void)
{
	return 2;
}
#endif

int main(int argc, char **argv)
{
	pthread_t thread;
	if (argc > 1 && strcmp(argv[1], "compat") == 0)
		return call_compat();
	pthread_create(&thread, NULL, second, NULL);
	ask_parent();
	pthread_join(thread, NULL);
	for (int round = 0; round < YIELDS; round++)
		sched_yield();
	fail();
	uint64_t asleep = timed(doze);
	if (pipe(wires) != 0)
		abort();
	pthread_create(&thread, NULL, feed, NULL);
	uint64_t piped = timed(wait_for_pipe);
	pthread_join(thread, NULL);
	printf("%lu %lu\n", asleep, piped);
	return 0;
}
