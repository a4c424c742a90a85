/* symbols.c: the name of the function that an address lies in.
 *
 * The dynamic linker knows which program or library an address belongs to, and the functions that
 * it exports. The names of all others stand in the file's own table of symbols, if it was not
 * stripped; that is read here, and kept mapped as long as somebody looks names up. Nothing is
 * allocated by malloc.
 */
#include <dlfcn.h>
#include <elf.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/sys.h"
#include "debug/debug.h"

/* Where the running program lies, or NULL. */
static const void *program_base(void)
{
    uintptr_t headers = (uintptr_t)getauxval(AT_PHDR);
    return (const void *)(headers & ~((uintptr_t)coir__sys_page() - 1));
}

static void map_file(struct coir__symbols_file *file, const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (fstat(fd, &status) == 0 && (size_t)status.st_size > sizeof(Elf64_Ehdr)) {
        void *map = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map != MAP_FAILED) {
            file->map = map;
            file->size = (size_t)status.st_size;
        }
    }
    (void)close(fd);
}

static const struct coir__symbols_file *file_of(struct coir__symbols *symbols, const void *base,
                                                const char *path)
{
    for (size_t i = 0; i < symbols->count; i++)
        if (symbols->files[i].base == base)
            return &symbols->files[i];
    if (symbols->count == COIR_COUNT(symbols->files))
        return NULL;
    struct coir__symbols_file *file = &symbols->files[symbols->count++];
    *file = (struct coir__symbols_file){.base = base};
    map_file(file, base == program_base() ? "/proc/self/exe" : path);
    return file;
}

void coir__symbols_close(struct coir__symbols *symbols)
{
    for (size_t i = 0; i < symbols->count; i++)
        if (symbols->files[i].map != NULL)
            (void)munmap((void *)(uintptr_t)symbols->files[i].map, symbols->files[i].size);
    symbols->count = 0;
}

/* The section of a type, or NULL; all of it is inside the file. */
static const Elf64_Shdr *section(const struct coir__symbols_file *file, uint32_t type)
{
    const Elf64_Ehdr *header = (const void *)file->map;
    size_t room = file->size / sizeof(Elf64_Shdr);
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_ident[EI_CLASS] != ELFCLASS64 ||
        header->e_shoff > file->size || header->e_shnum > room ||
        header->e_shoff % sizeof(uint64_t) != 0 ||
        header->e_shoff + header->e_shnum * sizeof(Elf64_Shdr) > file->size)
        return NULL;
    const Elf64_Shdr *all = (const void *)(file->map + header->e_shoff);
    for (unsigned i = 0; i < header->e_shnum; i++)
        if (all[i].sh_type == type && all[i].sh_link < header->e_shnum &&
            all[i].sh_offset <= file->size && all[i].sh_size <= file->size - all[i].sh_offset)
            return &all[i];
    return NULL;
}

/* The name of the function at address in the file's table, or NULL. */
static const char *look_up(const struct coir__symbols_file *file, uintptr_t address)
{
    const Elf64_Ehdr *header = (const void *)file->map;
    const Elf64_Shdr *table = file->map != NULL ? section(file, SHT_SYMTAB) : NULL;
    if (table == NULL || table->sh_offset % sizeof(uint64_t) != 0)
        return NULL;
    const Elf64_Shdr *names = (const Elf64_Shdr *)(const void *)(file->map + header->e_shoff);
    names += table->sh_link;
    if (names->sh_offset > file->size || names->sh_size > file->size - names->sh_offset ||
        names->sh_size == 0 || file->map[names->sh_offset + names->sh_size - 1] != '\0')
        return NULL;
    uintptr_t value = header->e_type == ET_DYN ? address - (uintptr_t)file->base : address;
    const Elf64_Sym *symbols = (const void *)(file->map + table->sh_offset);
    for (size_t i = 0; i < table->sh_size / sizeof *symbols; i++)
        if (ELF64_ST_TYPE(symbols[i].st_info) == STT_FUNC && symbols[i].st_shndx != SHN_UNDEF &&
            value >= symbols[i].st_value && value - symbols[i].st_value < symbols[i].st_size &&
            symbols[i].st_name < names->sh_size)
            return file->map + names->sh_offset + symbols[i].st_name;
    return NULL;
}

/* The slow half of a public function, to which it has jumped, has its name and this after it. */
static void cut_slowly(char *name)
{
    static const char slowly[] = "__slowly";
    size_t length = strlen(name), tail = sizeof slowly - 1;
    if (strncmp(name, "coir_", 5) == 0 && length > tail &&
        strcmp(name + length - tail, slowly) == 0)
        name[length - tail] = '\0';
}

void coir__symbol_find(struct coir__symbols *symbols, uintptr_t address,
                       struct coir__symbol *ret_symbol)
{
    Dl_info info;
    ret_symbol->known = false;
    ret_symbol->module[0] = '\0';
    (void)snprintf(ret_symbol->name, sizeof ret_symbol->name, "%#zx", (size_t)address);
    if (dladdr((void *)address, &info) == 0 || info.dli_fname == NULL)
        return;
    if (info.dli_fbase != program_base())
        (void)snprintf(ret_symbol->module, sizeof ret_symbol->module, "%s",
                       coir__file_name(info.dli_fname));
    const struct coir__symbols_file *file = file_of(symbols, info.dli_fbase, info.dli_fname);
    const char *name = file != NULL ? look_up(file, address) : NULL;
    name = name != NULL ? name : info.dli_sname;
    ret_symbol->known = name != NULL;
    if (name == NULL) /* tools find it by the place in the file */
        (void)snprintf(ret_symbol->name, sizeof ret_symbol->name, "+%#zx",
                       (size_t)(address - (uintptr_t)info.dli_fbase));
    else /* "work.part.0" is work */
        (void)snprintf(ret_symbol->name, sizeof ret_symbol->name, "%.*s",
                       (int)strcspn(name, name[0] == '.' ? "" : "."), name);
    cut_slowly(ret_symbol->name);
}
