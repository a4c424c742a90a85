/* calls.c: the call that stands before a return address.
 *
 * A word of a stack is a return address only if the code before it is a call, and of a call by way
 * of the linker's stub it can be told what it went to. The word may be anything, so nothing is read
 * but what the dynamic linker has loaded.
 */
#include <link.h>
#include <string.h>

#include "debug/debug.h"

/* ---- reading ---- */

struct range {
    uintptr_t at;
    size_t size;
};

static int holds(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    const struct range *range = arg;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uintptr_t before = range->at - (info->dlpi_addr + part->p_vaddr);
        if (part->p_type == PT_LOAD && (part->p_flags & PF_R) && before < part->p_memsz &&
            range->size <= part->p_memsz - before)
            return 1;
    }
    return 0;
}

/* Copies from the program or a library. Returns whether all of it is there. What a
 * sanitizer has put between variables is there too. */
COIR__UNCHECKED static bool read_loaded(uintptr_t address, void *to, size_t size)
{
    struct range range = {address, size};
    if (dl_iterate_phdr(holds, &range) == 0)
        return false;
    volatile uint8_t *copy = to;
    for (size_t i = 0; i < size; i++)
        copy[i] = ((const volatile uint8_t *)address)[i];
    return true;
}

/* ---- the code of each machine ---- */

#if defined(__x86_64__)

bool coir__call_before(uintptr_t address)
{
    uint8_t code[6];
    if (!read_loaded(address - sizeof code, code, sizeof code))
        return false;
    return code[1] == 0xe8 || (code[4] == 0xff && (code[5] & 0x38) == 0x10) ||
           (code[3] == 0xff && (code[4] & 0x38) == 0x10) ||
           (code[0] == 0xff && (code[1] & 0x38) == 0x10);
}

/* Where the stub finds the address of the function, or 0. */
static uintptr_t slot_of(uintptr_t stub)
{
    static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
    uint8_t code[11];
    int32_t distance;
    if (!read_loaded(stub, code, sizeof code))
        return 0;
    size_t at = memcmp(code, endbr64, sizeof endbr64) == 0 ? sizeof endbr64 : 0;
    at += code[at] == 0xf2;
    if (code[at] != 0xff || code[at + 1] != 0x25) /* jmp *distance(%rip) */
        return 0;
    memcpy(&distance, code + at + 2, sizeof distance);
    return stub + at + 6 + (uintptr_t)(intptr_t)distance;
}

static uintptr_t slot_before(uintptr_t address)
{
    uint8_t code[6];
    int32_t distance;
    if (!read_loaded(address - sizeof code, code, sizeof code))
        return 0;
    memcpy(&distance, code + 2, sizeof distance);
    uintptr_t target = address + (uintptr_t)(intptr_t)distance;
    if (code[0] == 0xff && code[1] == 0x15) /* call *distance(%rip) */
        return target;
    return code[1] == 0xe8 ? slot_of(target) : 0;
}

#elif defined(__riscv)

bool coir__call_before(uintptr_t address)
{
    uint16_t code[2];
    if (!read_loaded(address - sizeof code, code, sizeof code))
        return false;
    uint32_t call = (uint32_t)code[1] << 16 | code[0]; /* jal ra and jalr ra, or the short jalr */
    return (call & 0xfff) == 0x0ef || (call & 0x7fff) == 0x00e7 ||
           ((code[1] & 0xf07f) == 0x9002 && (code[1] & 0x0f80) != 0);
}

/* The upper 20 bits of an instruction, and its upper 12, as the distances that they are. */
static uintptr_t upper(uint32_t code)
{
    return (uintptr_t)(intptr_t)(int32_t)(code & 0xfffff000);
}

static uintptr_t lower(uint32_t code)
{
    return (uintptr_t)(intptr_t)((int32_t)code >> 20);
}

static uintptr_t slot_of(uintptr_t stub)
{
    uint32_t code[2]; /* auipc t3, …; ld t3, …(t3) */
    if (!read_loaded(stub, code, sizeof code) || (code[0] & 0xfff) != 0xe17 ||
        (code[1] & 0xfffff) != 0xe3e03)
        return 0;
    return stub + upper(code[0]) + lower(code[1]);
}

static uintptr_t slot_before(uintptr_t address)
{
    uint32_t code[2];
    if (!read_loaded(address - sizeof code, code, sizeof code))
        return 0;
    if ((code[0] & 0xfff) == 0x097 && (code[1] & 0xfffff) == 0x080e7) /* auipc ra; jalr ra */
        return slot_of(address - sizeof code + upper(code[0]) + lower(code[1]));
    uint32_t jal = code[1];
    if ((jal & 0xfff) != 0x0ef)
        return 0;
    uint32_t distance = (jal >> 20 & 0x7fe) | (jal >> 9 & 0x800) | (jal & 0xff000);
    distance |= jal >> 31 ? 0xfff00000 : 0;
    return slot_of(address - sizeof jal + (uintptr_t)(intptr_t)(int32_t)distance);
}

#else

bool coir__call_before(uintptr_t address)
{
    uint32_t call; /* bl and blr */
    return read_loaded(address - sizeof call, &call, sizeof call) &&
           ((call & 0xfc000000) == 0x94000000 || (call & 0xfffffc1f) == 0xd63f0000);
}

static uintptr_t slot_of(uintptr_t stub)
{
    uint32_t code[3];
    if (!read_loaded(stub, code, sizeof code))
        return 0;
    unsigned at = code[0] == 0xd503245f; /* bti c */
    if ((code[at] & 0x9f00001f) != 0x90000010 || (code[at + 1] & 0xffc003ff) != 0xf9400211)
        return 0; /* adrp x16, …; ldr x17, [x16, …] */
    uint32_t pages = ((code[at] >> 3) & 0x1ffffc) | ((code[at] >> 29) & 3);
    return ((stub + at * 4) & ~(uintptr_t)0xfff) +
           (uintptr_t)((intptr_t)((int32_t)(pages << 11) >> 11) * 4096) +
           (uintptr_t)((code[at + 1] >> 10) & 0xfff) * 8;
}

static uintptr_t slot_before(uintptr_t address)
{
    uint32_t call;
    if (!read_loaded(address - sizeof call, &call, sizeof call) ||
        (call & 0xfc000000) != 0x94000000) /* bl */
        return 0;
    int32_t distance = (int32_t)(call << 6) >> 4;
    return slot_of(address - sizeof call + (uintptr_t)(intptr_t)distance);
}

#endif

uintptr_t coir__call_target(uintptr_t address)
{
    uintptr_t slot = slot_before(address), target;
    return slot != 0 && read_loaded(slot, &target, sizeof target) ? target : 0;
}
