/* unwind.c: from a function to its caller, by the tables that compilers write for exceptions and
 * debuggers (.eh_frame), which the C library has as well, though it keeps no frame pointers.
 *
 * Of the tables' language only what compilers write for functions is understood: places relative to
 * a register. Where a function has no table, or one of another kind (the linker's stubs, a signal's
 * return), the walk ends, and whoever asked for it goes on by frame pointers. The memory of the
 * stack is read by the caller's function, since it may be a copy. The tables themselves are
 * trusted, as every thrown exception does.
 */
#include <elf.h>
#include <link.h>
#include <string.h>

#include "debug/debug.h"

/* Where the caller's value of a register is. */
enum rule { SAME, UNKNOWN, AT_OFFSET, IS_OFFSET, IN_REGISTER };

struct row {
    uint8_t rule[COIR__REGISTERS];
    int64_t value[COIR__REGISTERS];
    unsigned cfa_register;
    int64_t cfa_offset;
};

struct tables {
    uintptr_t pc;
    const uint8_t *header; /* .eh_frame_hdr of the module that pc lies in; NULL: none */
};

/* What the description of a function and what it has in common with others (its CIE) say. */
struct function {
    const uint8_t *code, *code_end; /* instructions of the CIE, then of the function */
    const uint8_t *own, *own_end;
    uint64_t code_unit;
    int64_t data_unit;
    uintptr_t begin;
    unsigned return_register;
    bool interrupted; /* a signal's frame: its caller's address is not behind a call */
};

/* What functions leave to their callers as it was. */
#if defined(__x86_64__)
#define PRESERVED UINT64_C(0xf0c8) /* rbx, rbp, rsp, r12 to r15 */
#elif defined(__riscv)
#define PRESERVED UINT64_C(0x0ffc0306) /* ra, sp, s0 to s11 */
#else
#define PRESERVED UINT64_C(0xfff80000) /* x19 to x30, sp */
#endif

#define NO_POINTER 0xff
#define ENCODED_AS_TABLES 0x3b /* 4 bytes, signed, relative to the header */
#define ENCODED_AS_USUAL 0x1b  /* the same, relative to itself */

/* ---- reading ---- */

static uint64_t read_unsigned(const uint8_t **at)
{
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t byte;
    do {
        byte = *(*at)++;
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80);
    return value;
}

static int64_t read_signed(const uint8_t **at)
{
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t byte;
    do {
        byte = *(*at)++;
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80);
    if (shift < 64 && (byte & 0x40))
        value |= ~UINT64_C(0) << shift;
    return (int64_t)value;
}

static uint32_t read_32(const uint8_t **at)
{
    uint32_t value;
    memcpy(&value, *at, sizeof value);
    *at += sizeof value;
    return value;
}

static uintptr_t relative(const uint8_t *base, uint32_t distance)
{
    return (uintptr_t)base + (uintptr_t)(intptr_t)(int32_t)distance;
}

/* ---- finding the tables ---- */

static int look_at_module(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    struct tables *tables = arg;
    const uint8_t *header = NULL;
    bool inside = false;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uintptr_t begin = info->dlpi_addr + part->p_vaddr;
        if (part->p_type == PT_LOAD)
            inside = inside || tables->pc - begin < part->p_memsz;
        else if (part->p_type == PT_GNU_EH_FRAME)
            header = (const uint8_t *)begin;
    }
    if (inside)
        tables->header = header;
    return inside;
}

/* The description of the last function that begins at or before pc, from the sorted table. */
static const uint8_t *find_description(uintptr_t pc)
{
    struct tables tables = {.pc = pc};
    (void)dl_iterate_phdr(look_at_module, &tables);
    const uint8_t *header = tables.header;
    if (header == NULL || header[0] != 1 || header[1] == NO_POINTER || header[2] != 0x03 ||
        header[3] != ENCODED_AS_TABLES)
        return NULL;
    const uint8_t *at = header + 8; /* behind the pointer to .eh_frame, of 4 bytes in practice */
    if ((header[1] & 0x0f) != 0x0b && (header[1] & 0x0f) != 0x03)
        return NULL;
    size_t low = 0, high = read_32(&at); /* the first `low` begin at or before pc */
    const uint8_t *table = at;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        at = table + middle * 8;
        if (relative(header, read_32(&at)) <= pc)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return NULL;
    at = table + (low - 1) * 8 + 4;
    return (const uint8_t *)relative(header, read_32(&at));
}

/* Reads the CIE. False: it is of another kind than is understood here. */
static bool read_common(const uint8_t *at, struct function *ret_function, bool *ret_augmented)
{
    uint32_t length = read_32(&at);
    const uint8_t *end = at + length;
    if (length == UINT32_MAX || read_32(&at) != 0)
        return false;
    uint8_t version = *at++;
    const char *augmentation = (const char *)at;
    at += strlen(augmentation) + 1;
    ret_function->code_unit = read_unsigned(&at);
    ret_function->data_unit = read_signed(&at);
    ret_function->return_register = version == 1 ? *at++ : (unsigned)(read_unsigned(&at) & 0xffff);
    ret_function->interrupted = false;
    ret_function->code_end = end;
    *ret_augmented = augmentation[0] == 'z';
    if (augmentation[0] == '\0') {
        ret_function->code = at;
        return false; /* addresses of 8 bytes, which linkers do not sort */
    }
    if (!*ret_augmented)
        return false;
    uint64_t size = read_unsigned(&at);
    ret_function->code = at + size;
    for (const char *what = augmentation + 1; *what != '\0'; what++) {
        if (*what == 'R' && *at++ != ENCODED_AS_USUAL)
            return false;
        if (*what == 'L')
            at++;
        if (*what == 'S')
            ret_function->interrupted = true;
        if (*what == 'P') /* a pointer to a function: 4 bytes, or 8 */
            at += 1 + ((*at & 0x0f) == 0x0b || (*at & 0x0f) == 0x03 ? 4 : 8);
    }
    return true;
}

static bool find_function(uintptr_t pc, struct function *ret_function)
{
    const uint8_t *at = find_description(pc);
    if (at == NULL)
        return false;
    uint32_t length = read_32(&at);
    const uint8_t *end = at + length, *here = at;
    bool augmented;
    if (length == UINT32_MAX || length < 8)
        return false;
    uint32_t back = read_32(&at);
    if (!read_common(here - back, ret_function, &augmented))
        return false;
    here = at;
    ret_function->begin = relative(here, read_32(&at));
    uint32_t size = read_32(&at);
    if (pc - ret_function->begin >= size)
        return false;
    uint64_t skipped = augmented ? read_unsigned(&at) : 0;
    ret_function->own = at + skipped;
    ret_function->own_end = end;
    return true;
}

/* ---- the language of the tables ---- */

enum {
    ADVANCE = 0x40,
    OFFSET = 0x80,
    RESTORE = 0xc0,
    ADVANCE_1 = 0x02,
    ADVANCE_2,
    ADVANCE_4,
    OFFSET_EXTENDED,
    RESTORE_EXTENDED,
    UNDEFINED,
    SAME_VALUE,
    REGISTER,
    REMEMBER,
    RECALL,
    CFA,
    CFA_REGISTER,
    CFA_OFFSET,
    CFA_EXPRESSION,
    EXPRESSION,
    OFFSET_SIGNED,
    CFA_SIGNED,
    CFA_OFFSET_SIGNED,
    VALUE_OFFSET,
    VALUE_OFFSET_SIGNED,
    VALUE_EXPRESSION,
    NEGATE_SIGNATURE = 0x2d, /* of aarch64: return addresses lose their signature in any case */
    ARGUMENTS_SIZE = 0x2e,
};

static void set(struct row *row, uint64_t number, enum rule rule, int64_t value)
{
    if (number >= COIR__REGISTERS)
        return;
    row->rule[number] = (uint8_t)rule;
    row->value[number] = value;
}

/* As at the beginning of the function. */
static void restore(struct row *row, const struct row *initial, uint64_t number)
{
    if (number < COIR__REGISTERS)
        set(row, number, initial->rule[number], initial->value[number]);
}

/* Executes an instruction that moves on. Returns whether it was one. */
static bool execute_advance(uint8_t code, const uint8_t **at, const struct function *function,
                            uintptr_t *place)
{
    uint64_t distance = code & 0x3f;
    if ((code & 0xc0) != ADVANCE) {
        size_t size = code == ADVANCE_1 ? 1 : code == ADVANCE_2 ? 2 : code == ADVANCE_4 ? 4 : 0;
        if (size == 0)
            return false;
        distance = 0;
        for (size_t i = 0; i < size; i++)
            distance |= (uint64_t)(*(*at)++) << (8 * i);
    }
    *place += distance * function->code_unit;
    return true;
}

/* Executes an instruction about the frame's address. Returns whether it was one. */
static bool execute_cfa(uint8_t code, const uint8_t **at, const struct function *function,
                        struct row *row)
{
    switch (code) {
    case CFA:
    case CFA_SIGNED:
        row->cfa_register = (unsigned)(read_unsigned(at) & 0xffff);
        row->cfa_offset =
            code == CFA ? (int64_t)read_unsigned(at) : read_signed(at) * function->data_unit;
        return true;
    case CFA_REGISTER: row->cfa_register = (unsigned)(read_unsigned(at) & 0xffff); return true;
    case CFA_OFFSET: row->cfa_offset = (int64_t)read_unsigned(at); return true;
    case CFA_OFFSET_SIGNED: row->cfa_offset = read_signed(at) * function->data_unit; return true;
    }
    return false;
}

/* Executes an instruction about a register. Returns false for one that is not understood. */
static bool execute_register(uint8_t code, const uint8_t **at, const struct function *function,
                             struct row *row, const struct row *initial)
{
    if (code == 0 || code == NEGATE_SIGNATURE)
        return true;
    if ((code & 0xc0) == RESTORE) {
        restore(row, initial, code & 0x3f);
        return true;
    }
    if ((code & 0xc0) == OFFSET) {
        set(row, code & 0x3f, AT_OFFSET, (int64_t)read_unsigned(at) * function->data_unit);
        return true;
    }
    uint64_t number = read_unsigned(at);
    switch (code) {
    case ARGUMENTS_SIZE: return true;
    case RESTORE_EXTENDED: restore(row, initial, number); return true;
    case UNDEFINED: set(row, number, UNKNOWN, 0); return true;
    case SAME_VALUE: set(row, number, SAME, 0); return true;
    case REGISTER: set(row, number, IN_REGISTER, (int64_t)read_unsigned(at)); return true;
    case OFFSET_EXTENDED:
        set(row, number, AT_OFFSET, (int64_t)read_unsigned(at) * function->data_unit);
        return true;
    case OFFSET_SIGNED:
        set(row, number, AT_OFFSET, read_signed(at) * function->data_unit);
        return true;
    case VALUE_OFFSET:
        set(row, number, IS_OFFSET, (int64_t)read_unsigned(at) * function->data_unit);
        return true;
    case VALUE_OFFSET_SIGNED:
        set(row, number, IS_OFFSET, read_signed(at) * function->data_unit);
        return true;
    case EXPRESSION:
    case VALUE_EXPRESSION: { /* this register is not known then */
        uint64_t size = read_unsigned(at);
        *at += size;
        set(row, number, UNKNOWN, 0);
        return true;
    }
    }
    return false;
}

/* Executes the instructions up to those that hold at pc. */
static bool execute(const uint8_t *at, const uint8_t *end, const struct function *function,
                    uintptr_t pc, struct row *row, const struct row *initial)
{
    enum { DEEP = 2 };
    struct row kept[DEEP];
    unsigned depth = 0;
    uintptr_t place = function->begin;
    while (at < end) {
        uint8_t code = *at++;
        if (execute_advance(code, &at, function, &place)) {
            if (place > pc)
                return true;
        } else if (code == REMEMBER && depth < DEEP) {
            kept[depth++] = *row;
        } else if (code == RECALL && depth > 0) {
            *row = kept[--depth];
        } else if (!execute_cfa(code, &at, function, row) &&
                   !execute_register(code, &at, function, row, initial)) {
            return false;
        }
    }
    return true;
}

/* ---- a step ---- */

/* The caller's value of a register. Returns false when it is not known. */
static bool recover(const struct row *row, unsigned number, uintptr_t cfa,
                    const struct coir__registers *before, coir__read_fn read, const void *memory,
                    uintptr_t *ret_value)
{
    uint64_t from = row->rule[number] == IN_REGISTER ? (uint64_t)row->value[number] : number;
    switch ((enum rule)row->rule[number]) {
    case SAME:
    case IN_REGISTER:
        if (from >= COIR__REGISTERS || (from == number && !(PRESERVED & (UINT64_C(1) << from))) ||
            !(before->known & (UINT64_C(1) << from)))
            return false;
        *ret_value = before->value[from];
        return true;
    case AT_OFFSET: return read(memory, cfa + (uintptr_t)row->value[number], ret_value);
    case IS_OFFSET: *ret_value = cfa + (uintptr_t)row->value[number]; return true;
    case UNKNOWN: break;
    }
    return false;
}

int coir__unwind_step(struct coir__registers *registers, coir__read_fn read, const void *memory)
{
    struct function function;
    uintptr_t pc = registers->pc - !registers->interrupted;
    if (!find_function(pc, &function))
        return -ENOENT;
    struct row initial = {.cfa_register = COIR__REGISTERS}, row;
    if (!execute(function.code, function.code_end, &function, UINTPTR_MAX, &initial, &initial))
        return -ENOTSUP;
    row = initial;
    if (!execute(function.own, function.own_end, &function, pc, &row, &initial) ||
        row.cfa_register >= COIR__REGISTERS ||
        !(registers->known & (UINT64_C(1) << row.cfa_register)) ||
        function.return_register >= COIR__REGISTERS)
        return -ENOTSUP;
    if (row.rule[function.return_register] == UNKNOWN)
        return 0; /* stacks begin in such functions */
    uintptr_t cfa = registers->value[row.cfa_register] + (uintptr_t)row.cfa_offset;
    struct coir__registers caller = {.interrupted = function.interrupted};
    for (unsigned i = 0; i < COIR__REGISTERS; i++)
        if (recover(&row, i, cfa, registers, read, memory, &caller.value[i]))
            caller.known |= UINT64_C(1) << i;
    caller.pc = caller.value[function.return_register];
    bool moved = cfa > registers->value[COIR__SP] || caller.pc != registers->pc;
    if (!(caller.known & (UINT64_C(1) << function.return_register)) || !moved ||
        cfa < registers->value[COIR__SP])
        return -ENOTSUP;
    if (row.rule[COIR__SP] == SAME) {
        caller.value[COIR__SP] = cfa;
        caller.known |= UINT64_C(1) << COIR__SP;
    }
    *registers = caller;
    return 1;
}
