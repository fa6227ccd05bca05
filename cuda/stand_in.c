// A static stand-in for one of CUDA's shared libraries: every function opens the real library at its first call and
// goes on there, so that a program linked with it starts where CUDA is absent.
//
// Compiled once a library by `cuda/toolkit`, with
//   SYMBOLS  a file of lines CALL(name) and TEXT(name): functions that return a status, and those that return words
//   LIBRARY  what to open, most wanted first: "libcublas.so.13"
//   ABSENT   the status that calls return where there is no such library, or no such function in it
//
// Each function is one jump through its entry, as in a procedure linkage table. The jump first leads to a label that
// names the entry; `enter` keeps the arguments, has `find` fill the entry in, and jumps on. Threads that are first at
// once fill in the same address. x86-64 only.

#include <dlfcn.h>
#include <stddef.h>

#ifndef __x86_64__
#error "stand-ins exist for x86-64 only; link CUDA's own libraries: cargo build --features cuda"
#endif

struct entry {
    void *function;
    const char *name;
    void *absent;
};

static const char *const candidates[] = {LIBRARY};

__attribute__((unused)) static int absent(void) { return ABSENT; }
__attribute__((unused)) static const char *absent_text(void) { return "the library is not on this machine"; }

static void *library(void) {
    static void *opened;
    static int tried;
    if (__atomic_load_n(&tried, __ATOMIC_ACQUIRE)) return __atomic_load_n(&opened, __ATOMIC_RELAXED);
    void *found = NULL;
    for (size_t i = 0; i < sizeof candidates / sizeof *candidates && !found; i++)
        found = dlopen(candidates[i], RTLD_NOW | RTLD_LOCAL);
    // another thread here opened the same one: dlopen counts
    __atomic_store_n(&opened, found, __ATOMIC_RELAXED);
    __atomic_store_n(&tried, 1, __ATOMIC_RELEASE);
    return found;
}

__attribute__((used)) static void *find(struct entry *entry) {
    void *real = library();
    void *function = real ? dlsym(real, entry->name) : NULL;
    if (!function) function = entry->absent;
    __atomic_store_n(&entry->function, function, __ATOMIC_RELEASE);
    return function;
}

// Kept: whatever may carry an argument, six integer registers, rax (variadic calls) and eight vector registers.
asm(".text\n"
    "enter:\n"
    "  push %rbp\n  mov %rsp, %rbp\n"
    "  push %rdi\n  push %rsi\n  push %rdx\n  push %rcx\n  push %r8\n  push %r9\n  push %rax\n"
    "  sub $128, %rsp\n  and $-16, %rsp\n"
    "  movups %xmm0, (%rsp)\n    movups %xmm1, 16(%rsp)\n  movups %xmm2, 32(%rsp)\n  movups %xmm3, 48(%rsp)\n"
    "  movups %xmm4, 64(%rsp)\n  movups %xmm5, 80(%rsp)\n  movups %xmm6, 96(%rsp)\n  movups %xmm7, 112(%rsp)\n"
    "  mov %r11, %rdi\n"
    "  call find\n"
    "  mov %rax, %r11\n"
    "  movups (%rsp), %xmm0\n    movups 16(%rsp), %xmm1\n  movups 32(%rsp), %xmm2\n  movups 48(%rsp), %xmm3\n"
    "  movups 64(%rsp), %xmm4\n  movups 80(%rsp), %xmm5\n  movups 96(%rsp), %xmm6\n  movups 112(%rsp), %xmm7\n"
    "  lea -56(%rbp), %rsp\n"
    "  pop %rax\n  pop %r9\n  pop %r8\n  pop %rcx\n  pop %rdx\n  pop %rsi\n  pop %rdi\n  pop %rbp\n"
    "  jmp *%r11\n");

#define FUNCTION(NAME, ABSENCE)                                                                    \
    extern char lazy_##NAME[] __attribute__((visibility("hidden")));                               \
    __attribute__((used)) static struct entry entry_##NAME = {lazy_##NAME, #NAME, (void *)ABSENCE}; \
    asm(".text\n.globl " #NAME "\n.type " #NAME ", @function\n"                                    \
        #NAME ":\n  jmp *entry_" #NAME "(%rip)\n"                                                  \
        "lazy_" #NAME ":\n  lea entry_" #NAME "(%rip), %r11\n  jmp enter\n"                        \
        ".size " #NAME ", .-" #NAME "\n");
#define CALL(NAME) FUNCTION(NAME, absent)
#define TEXT(NAME) FUNCTION(NAME, absent_text)
#include SYMBOLS
