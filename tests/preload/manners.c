/*
 * manners [NAME=VALUE...]: main finds errno zero, the environment it was given (these, and no others), and nothing in
 * dlerror(). Prints what is not so, and which of the first thousand descriptors are open. Its status is the number of faults.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int error = errno;
    int faults = 0;
    const char *complaint = dlerror();

    if (error != 0)
        faults += printf("errno is %d\n", error) > 0;
    if (complaint != NULL)
        faults += printf("dlerror() says: %s\n", complaint) > 0;
    for (int i = 0; i < argc - 1 || environ[i] != NULL; i++) {
        const char *expected = i < argc - 1 ? argv[i + 1] : "nothing";
        const char *found = environ[i] != NULL ? environ[i] : "nothing";
        if (strcmp(expected, found) != 0)
            faults += printf("environment has %s, not %s\n", found, expected) > 0;
        if (environ[i] == NULL)
            break;
    }
    for (int fd = 0; fd < 1000; fd++)
        if (dup2(fd, fd) == fd)
            printf("descriptor %d\n", fd);
    return faults;
}
