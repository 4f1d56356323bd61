// One kind of event, again and again, with work in between so that there are about as many a second as
// is said: syscalls and mallocs a million, switches a hundred thousand, connections twenty thousand;
// `cpu` has none. Usage: events KIND FILE; a line a slice of equal work: wall clock at its end,
// nanoseconds
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "spin.h"

// Rounds of work: a millisecond has ROUNDS_PER_MS.
enum { BESIDE_A_CALL = 500, BESIDE_A_MALLOC = 550, BESIDE_A_SWITCH = 11000, BESIDE_A_CONNECTION = 5000 };

static int there[2], back[2];
static struct sockaddr_in address = {.sin_family = AF_INET};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

APART void compute(void) { spin(ROUNDS_PER_MS); }

APART void call(void)
{
	spin(BESIDE_A_CALL);
	syscall(SYS_getppid);
}

APART void allocate(void)
{
	spin(BESIDE_A_MALLOC);
	void *memory = malloc(64);
	__asm__ volatile("" : "+r"(memory));
	free(memory);
}

// To the other process and back, on one CPU: two switches.
APART void hand_over(void)
{
	char byte = 0;
	spin(BESIDE_A_SWITCH);
	if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
		fail("pipe");
}

// Ended by a reset, or the ports would be used up in seconds.
APART void connect_once(void)
{
	struct linger at_once = {.l_onoff = 1};
	int file = socket(AF_INET, SOCK_STREAM, 0);
	spin(BESIDE_A_CONNECTION);
	if (file < 0 || connect(file, (struct sockaddr *)&address, sizeof address) != 0)
		fail("connect");
	setsockopt(file, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	close(file);
}

static void *accept_all(void *listener)
{
	while (close(accept(*(int *)listener, NULL, NULL)) == 0)
		;
	return listener;
}

static void listen_beside(void)
{
	static int listener;
	socklen_t length = sizeof address;
	pthread_t thread;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 1024) != 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &length) != 0 ||
	    pthread_create(&thread, NULL, accept_all, &listener) != 0)
		fail("listen");
}

static void answer_beside(void)
{
	char byte;
	cpu_set_t last;
	CPU_ZERO(&last);
	CPU_SET(sysconf(_SC_NPROCESSORS_ONLN) - 1, &last);
	if (sched_setaffinity(0, sizeof last, &last) != 0 || pipe(there) != 0 || pipe(back) != 0)
		fail("pipe");
	if (fork() != 0)
		return;
	close(there[1]);
	while (read(there[0], &byte, 1) == 1)
		if (write(back[1], &byte, 1) != 1)
			break;
	_exit(0);
}

static const struct {
	const char *name;
	void (*prepare)(void);
	void (*event)(void);
	// Events of a slice: some milliseconds.
	int count;
} kinds[] = {
	{"cpu", NULL, compute, 5},
	{"syscalls", NULL, call, 5000},
	{"mallocs", NULL, allocate, 5000},
	{"switches", answer_beside, hand_over, 250},
	{"connections", listen_beside, connect_once, 100},
};

int main(int argc, char **argv)
{
	FILE *out = argc > 2 ? fopen(argv[2], "w") : NULL;
	if (!out)
		fail("usage: events KIND FILE");
	for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
		if (strcmp(kinds[kind].name, argv[1]) != 0)
			continue;
		if (kinds[kind].prepare)
			kinds[kind].prepare();
		for (;;) {
			struct timespec now;
			for (int event = 0; event < kinds[kind].count; event++)
				kinds[kind].event();
			clock_gettime(CLOCK_REALTIME, &now);
			fprintf(out, "%lu\n", (uint64_t)now.tv_sec * 1000000000ul + (uint64_t)now.tv_nsec);
			fflush(out);
		}
	}
	fputs("no such kind\n", stderr);
	return 2;
}
