// TCP connections with known answers, all on one machine. Usage:
//   talk slow                one server that answers after 2 ms and one after 20 ms, 100 requests each
//   talk many                2000 connections to one server, one after the other
//   talk refused             50 connections to a port where nobody listens
//   talk queue               20 connections that wait 30 ms each until they are accepted
//   talk SERVER PORT BYTES   sends bytes to an address, from another program
//   talk serve PORT BYTES    receives them there
// With a second argument `6`, the first four use IPv6. Prints what the test needs to know.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spin.h"

enum { REQUESTS = 100, CONNECTIONS = 2000, REFUSED = 50, QUEUED = 20 };

static int family = AF_INET;

struct server {
	int listener;
	int port;
	long delay_ns;
	int connections;
};

static void sleep_ns(long ns)
{
	struct timespec time = {0, ns};
	nanosleep(&time, NULL);
}

// The loopback address with a port, and its length.
static socklen_t address_of(struct sockaddr_storage *storage, int port)
{
	memset(storage, 0, sizeof(*storage));
	if (family == AF_INET6) {
		struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)storage;
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		v6->sin6_addr = in6addr_loopback;
		return sizeof(*v6);
	}
	struct sockaddr_in *v4 = (struct sockaddr_in *)storage;
	v4->sin_family = AF_INET;
	v4->sin_port = htons(port);
	v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return sizeof(*v4);
}

static void listen_at(struct server *server, int port)
{
	struct sockaddr_storage address;
	int on = 1;
	socklen_t size = address_of(&address, port);
	server->listener = socket(family, SOCK_STREAM, 0);
	setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(server->listener, (struct sockaddr *)&address, size) != 0 || listen(server->listener, 128) != 0)
		abort();
	getsockname(server->listener, (struct sockaddr *)&address, &size);
	// The port is in the same place of both kinds.
	server->port = ntohs(((struct sockaddr_in *)&address)->sin_port);
}

static int connect_to(int port)
{
	struct sockaddr_storage address;
	socklen_t size = address_of(&address, port);
	int connection = socket(family, SOCK_STREAM, 0);
	if (connect(connection, (struct sockaddr *)&address, size) != 0) {
		close(connection);
		return -1;
	}
	return connection;
}

APART void answer(int connection, long delay_ns)
{
	char request[64];
	while (recv(connection, request, sizeof(request), 0) > 0) {
		if (0 < delay_ns)
			sleep_ns(delay_ns);
		if (send(connection, "answer", 6, 0) != 6)
			abort();
	}
	NOT_A_TAIL_CALL();
}

static void *serve(void *argument)
{
	struct server *server = argument;
	pthread_setname_np(pthread_self(), "server");
	for (int count = 0; count < server->connections; count++) {
		int connection = accept(server->listener, NULL, NULL);
		answer(connection, server->delay_ns);
		close(connection);
	}
	return argument;
}

// Microseconds from the request to the answer.
APART uint64_t ask(int connection)
{
	char reply[64];
	uint64_t begin = now_ns();
	if (send(connection, "request", 7, 0) != 7 || recv(connection, reply, sizeof(reply), 0) != 6)
		abort();
	return (now_ns() - begin) / 1000;
}

static void talk_to(struct server *server, int connections, int requests)
{
	pthread_t thread;
	uint64_t waited = 0;
	server->connections = connections;
	listen_at(server, 0);
	pthread_create(&thread, NULL, serve, server);
	for (int count = 0; count < connections; count++) {
		int connection = connect_to(server->port);
		for (int request = 0; request < requests; request++)
			waited += ask(connection);
		close(connection);
	}
	pthread_join(thread, NULL);
	close(server->listener);
	printf("%d %lu\n", server->port, waited);
}

static void be_refused(void)
{
	struct server server = {0};
	listen_at(&server, 0);
	close(server.listener);
	for (int count = 0; count < REFUSED; count++)
		if (connect_to(server.port) != -1 || errno != ECONNREFUSED)
			abort();
	printf("%d 0\n", server.port);
}

APART int accept_late(int listener)
{
	return accept(listener, NULL, NULL);
}

static void queue(void)
{
	struct server server = {0};
	uint64_t waited = 0;
	listen_at(&server, 0);
	for (int count = 0; count < QUEUED; count++) {
		int connection = connect_to(server.port);
		uint64_t begin = now_ns();
		sleep_ns(30000000);
		int accepted = accept_late(server.listener);
		waited += (now_ns() - begin) / 1000;
		close(connection);
		close(accepted);
	}
	printf("%d %lu\n", server.port, waited);
}

static int send_far(const char *server, int port, long bytes)
{
	static char block[4096];
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	inet_pton(AF_INET, server, &address.sin_addr);
	int connection = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(connection, (struct sockaddr *)&address, sizeof(address)) != 0)
		return 1;
	for (long sent = 0; sent < bytes; sent += sizeof(block))
		if (send(connection, block, sizeof(block), 0) != sizeof(block))
			return 1;
	struct tcp_info info;
	socklen_t size = sizeof(info);
	shutdown(connection, SHUT_WR);
	// The far end closes when it has everything.
	while (recv(connection, block, sizeof(block), 0) > 0)
		continue;
	getsockopt(connection, IPPROTO_TCP, TCP_INFO, &info, &size);
	printf("%u\n", info.tcpi_total_retrans);
	return 0;
}

static int serve_far(int port)
{
	static char block[65536];
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(listener, 8) != 0)
		return 1;
	ready();
	int connection = accept(listener, NULL, NULL);
	while (recv(connection, block, sizeof(block), 0) > 0)
		continue;
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "serve") == 0)
		return serve_far(atoi(argv[2]));
	if (argc > 3)
		return send_far(argv[1], atoi(argv[2]), atol(argv[3]));
	if (argc > 2 && strcmp(argv[2], "6") == 0)
		family = AF_INET6;
	if (argc > 1 && strcmp(argv[1], "slow") == 0) {
		struct server quick = {.delay_ns = 2000000}, slow = {.delay_ns = 20000000};
		talk_to(&quick, 1, REQUESTS);
		talk_to(&slow, 1, REQUESTS);
	} else if (argc > 1 && strcmp(argv[1], "many") == 0) {
		struct server many = {0};
		talk_to(&many, CONNECTIONS, 1);
	} else if (argc > 1 && strcmp(argv[1], "refused") == 0) {
		be_refused();
	} else if (argc > 1 && strcmp(argv[1], "queue") == 0) {
		queue();
	} else {
		return 2;
	}
	return 0;
}
