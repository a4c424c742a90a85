/* replay.c: runs a fuzz target over the files that are its arguments: the seeds, and what a fuzzer
 * has found. For builds without a fuzzer.
 */
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length);

static int replay(const char *path)
{
    static unsigned char data[1 << 20];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    size_t length = fread(data, 1, sizeof data, file);
    fclose(file);
    unsigned char *copy =
        malloc(length + 1); /* of its own size, so that a sanitizer sees its end */
    if (copy == NULL)
        return 1;
    for (size_t i = 0; i < length; i++)
        copy[i] = data[i];
    int r = LLVMFuzzerTestOneInput(copy, length);
    free(copy);
    return r;
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int i = 1; i < argc; i++)
        failed |= replay(argv[i]);
    printf("%d inputs\n", argc - 1);
    return failed || argc < 2;
}
