// Programs with one thing wrong each. Usage: sick SECONDS MODE [PORT [ADDRESS]]
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "steps.h"

PART(part0) PART(part1) PART(part2) PART(part3) PART(part4) PART(part5)
PART(part6) PART(part7) PART(part8) PART(part9) PART(part10) PART(part11)

static const char *host = "127.0.0.1";
static int port;

// hot_function: three quarters are in `checksum`.
APART void checksum(void) { SPIN(9 * ROUNDS_PER_MS); }

static void hot_function(void)
{
	while (goes_on()) {
		checksum();
		all_steps(ROUNDS_PER_MS / 4);
	}
}

// hot_path: two thirds are below `report`, spread over twelve functions.
APART void report(void)
{
	part0(ROUNDS_PER_MS); part1(ROUNDS_PER_MS); part2(ROUNDS_PER_MS); part3(ROUNDS_PER_MS);
	part4(ROUNDS_PER_MS); part5(ROUNDS_PER_MS); part6(ROUNDS_PER_MS); part7(ROUNDS_PER_MS);
	part8(ROUNDS_PER_MS); part9(ROUNDS_PER_MS); part10(ROUNDS_PER_MS); part11(ROUNDS_PER_MS);
	NOT_A_TAIL_CALL();
}

APART void handle(void)
{
	report();
	all_steps(ROUNDS_PER_MS / 2);
	NOT_A_TAIL_CALL();
}

static void hot_path(void)
{
	while (goes_on())
		handle();
}

// lock_convoy: four threads want one lock, under which `copy_table` takes long.
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;

APART void copy_table(void) { SPIN(2 * ROUNDS_PER_MS); }

APART void update(void)
{
	pthread_mutex_lock(&table_lock);
	copy_table();
	pthread_mutex_unlock(&table_lock);
}

static void *contend(void *nothing)
{
	while (goes_on()) {
		update();
		all_steps(ROUNDS_PER_MS / 60);
	}
	return nothing;
}

static void lock_convoy(void) { in_threads(4, contend, NULL); }

// run_queue: four busy threads for each CPU.
static void *crunch(void *nothing)
{
	while (goes_on())
		all_steps(ROUNDS_PER_MS);
	return nothing;
}

static void run_queue(void) { in_threads(4 * (int)sysconf(_SC_NPROCESSORS_ONLN), crunch, NULL); }

// one_busy_thread: `plan` takes long for each small piece of work that it hands out.
APART void plan(void) { SPIN(20 * ROUNDS_PER_MS); }

static void plan_and_hand_out(void)
{
	plan();
	hand_out(1);
}

static void small_piece(void) { all_steps(ROUNDS_PER_MS / 12); }

static void one_busy_thread(void) { with_pool(4, plan_and_hand_out, small_piece); }

// syscall_storm: looks whether a file has changed, and again.
APART int has_changed(void)
{
	struct stat about;
	int result = stat("/etc/hosts", &about);
	NOT_A_TAIL_CALL();
	return result == 0 && about.st_mtime == 1;
}

static void syscall_storm(void)
{
	while (goes_on())
		for (int count = 0; count < 1000 && !has_changed(); count++)
			spin(200);
}

// tiny_io: reads a file byte by byte.
APART int next_byte(int file)
{
	char byte = 0;
	if (read(file, &byte, 1) != 1)
		abort();
	NOT_A_TAIL_CALL();
	return byte;
}

static void tiny_io(void)
{
	int file = open("/dev/zero", O_RDONLY);
	while (goes_on())
		for (int count = 0; count < 1000 && next_byte(file) == 0; count++)
			spin(200);
}

// slow_remote: four threads ask a server for users, one after the other.
static void *ask(void *nothing)
{
	int connection = connect_to(host, port);
	while (goes_on()) {
		load_user(connection);
		all_steps(ROUNDS_PER_MS / 60);
	}
	close(connection);
	return nothing;
}

static void slow_remote(void) { in_threads(4, ask, NULL); }

// retransmits: sends as fast as the way there takes it.
APART long replicate(int connection, const char *block, size_t size)
{
	long sent = send(connection, block, size, 0);
	NOT_A_TAIL_CALL();
	return sent;
}

static void retransmits(void)
{
	static char block[65536];
	int connection = connect_to(host, port);
	while (goes_on() && 0 < replicate(connection, block, sizeof(block)))
		continue;
	close(connection);
}

// allocation_hot_spot: new memory for every row, given back at once.
APART void parse_row(void)
{
	enum { ROW = 16384 };
	char *row = malloc(ROW);
	for (int place = 0; place < ROW; place += 512)
		row[place] = (char)place;
	__asm__ volatile("" : : "r"(row) : "memory");
	free(row);
}

static void allocation_hot_spot(void)
{
	while (goes_on())
		for (int count = 0; count < 100; count++) {
			parse_row();
			spin(1000);
		}
}

// leak_suspect: remembers every request for good.
struct remembered {
	struct remembered *before;
	char request[4080];
};

static struct remembered *newest;

APART void remember(void)
{
	struct remembered *request = malloc(sizeof(*request));
	memset(request->request, 1, sizeof(request->request));
	request->before = newest;
	newest = request;
}

static void leak_suspect(void)
{
	while (goes_on()) {
		remember();
		all_steps(ROUNDS_PER_MS / 120);
		sleep_us(500);
	}
}

// page_fault_storm: a new buffer from the kernel each time.
APART void fill_new_buffer(void)
{
	enum { SIZE = 4 << 20, PAGE = 4096 };
	char *buffer = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buffer == MAP_FAILED)
		abort();
	madvise(buffer, SIZE, MADV_NOHUGEPAGE);
	for (int place = 0; place < SIZE; place += PAGE)
		buffer[place] = 1;
	munmap(buffer, SIZE);
}

static void page_fault_storm(void)
{
	while (goes_on())
		fill_new_buffer();
}

static const struct mode MODES[] = {
	{"hot_function", hot_function},
	{"hot_path", hot_path},
	{"lock_convoy", lock_convoy},
	{"run_queue", run_queue},
	{"one_busy_thread", one_busy_thread},
	{"syscall_storm", syscall_storm},
	{"tiny_io", tiny_io},
	{"slow_remote", slow_remote},
	{"retransmits", retransmits},
	{"allocation_hot_spot", allocation_hot_spot},
	{"leak_suspect", leak_suspect},
	{"page_fault_storm", page_fault_storm},
};

int main(int argc, char **argv)
{
	end = end_ns(argc, argv);
	if (3 < argc)
		port = atoi(argv[3]);
	if (4 < argc)
		host = argv[4];
	return run_mode(MODES, sizeof(MODES) / sizeof(MODES[0]), 2 < argc ? argv[2] : "");
}
