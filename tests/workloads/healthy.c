// Programs with nothing wrong. Usage: healthy SECONDS MODE [PORT [MICROSECONDS]]
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>

#include "steps.h"

static int seconds, port, answer_after_us;

// even: one thread that does many things.
static void even(void)
{
	while (goes_on())
		all_steps(ROUNDS_PER_MS);
}

// idle_pool: now and then something to do.
static void now_and_then(void)
{
	sleep_us(5000);
	hand_out(1);
}

static void small_piece(void) { all_steps(ROUNDS_PER_MS / 12); }

static void idle_pool(void) { with_pool(4, now_and_then, small_piece); }

// busy_pool: as many threads as CPUs, with something to do most of the time, in several functions.
APART void parse(void)
{
	step0(ROUNDS_PER_MS / 8); step1(ROUNDS_PER_MS / 8); step2(ROUNDS_PER_MS / 8);
	step3(ROUNDS_PER_MS / 8);
	NOT_A_TAIL_CALL();
}

APART void compute(void)
{
	step4(ROUNDS_PER_MS / 8); step5(ROUNDS_PER_MS / 8); step6(ROUNDS_PER_MS / 8);
	step7(ROUNDS_PER_MS / 8); step8(ROUNDS_PER_MS / 8);
	NOT_A_TAIL_CALL();
}

APART void format(void)
{
	step9(ROUNDS_PER_MS / 8); step10(ROUNDS_PER_MS / 8); step11(ROUNDS_PER_MS / 8);
	NOT_A_TAIL_CALL();
}

static int cpus;

static void all_the_time(void)
{
	sleep_us(2500);
	hand_out(cpus);
}

static void request(void)
{
	parse();
	compute();
	format();
}

static void busy_pool(void) { with_pool(cpus, all_the_time, request); }

// copier: a mebibyte at a time, at a steady pace.
static void copier(void)
{
	enum { BLOCK = 1 << 20, BLOCKS = 8 };
	static char block[BLOCK];
	char from_name[] = "/tmp/copy-from-XXXXXX", to_name[] = "/tmp/copy-to-XXXXXX";
	int from = mkstemp(from_name), to = mkstemp(to_name);
	unlink(from_name);
	unlink(to_name);
	for (int count = 0; count < BLOCKS; count++)
		if (write(from, block, BLOCK) != BLOCK)
			abort();
	for (int count = 0; goes_on(); count++) {
		off_t place = (off_t)(count % BLOCKS) * BLOCK;
		if (pread(from, block, BLOCK, place) != BLOCK || pwrite(to, block, BLOCK, place) != BLOCK)
			abort();
		sleep_us(5000);
	}
}

// server: answers each request after a while, until its time is over.
static void *answer(void *number)
{
	char asked[64];
	int connection = (int)(long)number;
	while (0 < recv(connection, asked, sizeof(asked), 0)) {
		if (0 < answer_after_us)
			sleep_us(answer_after_us);
		all_steps(ROUNDS_PER_MS / 120);
		if (send(connection, "answer", 6, MSG_NOSIGNAL) != 6)
			break;
	}
	close(connection);
	return NULL;
}

static void out_of_time(int signal)
{
	(void)signal;
	_exit(0);
}

static void server(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(listener, 8) != 0)
		abort();
	signal(SIGALRM, out_of_time);
	alarm(seconds);
	ready();
	for (;;) {
		pthread_t thread;
		long connection = accept(listener, NULL, NULL);
		pthread_create(&thread, NULL, answer, (void *)connection);
		pthread_detach(thread);
	}
}

// client: asks for a user, does something with it, pauses.
static void client(void)
{
	int connection = connect_to("127.0.0.1", port);
	while (goes_on()) {
		load_user(connection);
		all_steps(ROUNDS_PER_MS / 48);
		sleep_us(2000);
	}
	close(connection);
}

// locks: each thread works by itself, and adds to a sum now and then.
static pthread_mutex_t sum_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t sum;

static void *add(void *nothing)
{
	while (goes_on()) {
		all_steps(ROUNDS_PER_MS / 120);
		pthread_mutex_lock(&sum_lock);
		sum++;
		pthread_mutex_unlock(&sum_lock);
	}
	return nothing;
}

static void locks(void) { in_threads(2, add, NULL); }

// batch: sorts a little, and sleeps until there is more.
APART void sort_rows(void) { SPIN(60 * ROUNDS_PER_MS); }

static void batch(void)
{
	while (goes_on()) {
		sort_rows();
		all_steps(40 * ROUNDS_PER_MS / 12);
		sleep_us(900000);
	}
}

static const struct mode MODES[] = {
	{"even", even},
	{"idle_pool", idle_pool},
	{"busy_pool", busy_pool},
	{"copier", copier},
	{"client", client},
	{"locks", locks},
	{"batch", batch},
};

int main(int argc, char **argv)
{
	end = end_ns(argc, argv);
	seconds = 1 < argc ? atoi(argv[1]) : 1;
	cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
	cpus = cpus < WORKERS_MAX ? cpus : WORKERS_MAX;
	if (3 < argc)
		port = atoi(argv[3]);
	if (4 < argc)
		answer_after_us = atoi(argv[4]);
	if (2 < argc && strcmp(argv[2], "server") == 0)
		server();
	return run_mode(MODES, sizeof(MODES) / sizeof(MODES[0]), 2 < argc ? argv[2] : "");
}
