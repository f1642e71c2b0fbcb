/* Must fail under ThreadSanitizer: two threads write one plain variable. */
#include <pthread.h>
#include <stddef.h>

static int shared;

static void *writer(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++)
        shared = i;
    return NULL;
}

int main(void)
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, writer, NULL) != 0)
            return 0;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
