// A driver without a card, for tests of what is said of one: libcuda.so.1 with as much of it as is asked before the first
// kernel. DRIVER_* in the environment say what is wrong; each default is a card in order.

#include <stdlib.h>
#include <string.h>

static int number(const char *name, int otherwise) {
    const char *value = getenv(name);
    return value ? atoi(value) : otherwise;
}

int cuInit(unsigned flags) { return number("DRIVER_INIT", 0); }

int cuDriverGetVersion(int *version) {
    *version = number("DRIVER_VERSION", 99000);
    return 0;
}

int cuDeviceGetCount(int *count) {
    *count = number("DRIVER_COUNT", 1);
    return 0;
}

int cuDeviceGet(int *device, int ordinal) {
    *device = ordinal;
    return 0;
}

int cuDeviceGetName(char *name, int length, int device) {
    strncpy(name, "Paper Card", length);
    return 0;
}

int cuDeviceGetAttribute(int *value, int attribute, int device) {
    // 75 and 76: compute capability before and after the point; every other question is answered with yes
    *value = attribute == 75 ? number("DRIVER_MAJOR", 9) : attribute == 76 ? 0 : 1;
    return 0;
}

int cuDevicePrimaryCtxRetain(void **context, int device) {
    *context = &number;
    return number("DRIVER_RETAIN", 0);
}

int cuDevicePrimaryCtxRelease_v2(int device) { return 0; }

int cuCtxGetCurrent(void **context) {
    *context = 0;
    return 0;
}

int cuCtxSetCurrent(void *context) { return 0; }

int cuMemGetInfo_v2(size_t *free, size_t *total) {
    *free = *total = (size_t)8 << 30;
    return 0;
}

int cuGetErrorString(int error, const char **words) {
    *words = "as the test wants it";
    return 0;
}
