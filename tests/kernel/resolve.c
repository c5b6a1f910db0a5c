/*
 * Asks musl's resolver for a name, which sends all its questions at once from one socket to all servers,
 * and greets whom the answer names. Built statically, as such programs are.
 * Usage: resolve NAME PORT GREETING SAID
 */
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int greet(const struct addrinfo *to, const char *greeting)
{
	int fd = socket(to->ai_family, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, to->ai_addr, to->ai_addrlen))
		return 1;
	return write(fd, greeting, strlen(greeting)) < 0;
}

int main(int argc, char **argv)
{
	struct addrinfo wanted = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;

	if (argc != 5) {
		fprintf(stderr, "usage: resolve NAME PORT GREETING SAID\n");
		return 2;
	}
	if (getaddrinfo(argv[1], argv[2], &wanted, &found)) {
		fprintf(stderr, "%s has no address\n", argv[1]);
		return 1;
	}
	while (found && found->ai_family != AF_INET)
		found = found->ai_next;
	if (!found || greet(found, argv[3])) {
		perror(argv[1]);
		return 1;
	}
	return puts(argv[4]) < 0;
}
