/* Floor of startup/ms: a dynamically linked C program that prints the clock first thing in main.
 * */
#include "../measure.h"

int main(void)
{
    printf("%lld\n", (long long)measure_now_ns());
    return 0;
}
